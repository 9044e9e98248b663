import type { Options } from '@anthropic-ai/claude-agent-sdk'
import { dirname, join, relative } from 'node:path'
import { isConfined } from '../environments/config.ts'
import { allowedHosts, hostOf, isHostIn } from '../environments/hosts.ts'
import type { SessionRow } from '../store/session-row.ts'

/** What lies on the machine that no confined agent may read. */
export interface Hidden {
  /** The folder of everything that the server keeps. */
  dataDir: string
  /** Credentials of the server's user, where such are usually kept; they need not be there. */
  credentials: string[]
  /** The folder in which sessions have their temporary files; null where none have any. */
  temporary(): string | null
}

/** Variables by which the agent reaches its model, which commands that it runs have no use for. */
const CREDENTIALS = /^(ANTHROPIC|AWS|GOOGLE|GCLOUD|VERTEX|AZURE)_|^CLAUDE_CODE_(OAUTH|API)_/

/** Where in a home credentials lie, for `Hidden`. */
export const credentialsOf = (home: string): string[] =>
  '.ssh .aws .azure .gnupg .kube .docker .netrc .npmrc .pypirc .git-credentials .config/gcloud .config/gh .claude .claude.json'
    .split(' ')
    .map((name) => join(home, name))

const liesIn = (path: string, folder: string): boolean => {
  const way = relative(folder, path)
  return way === '' || (!way.startsWith('..') && !way.startsWith('/'))
}

/** Settings of the agent that its type does not name yet. */
type Permissions = Record<string, unknown>

/**
 * What an agent is told to confine itself to, by the environment of its session; null: nothing. Commands run in a sandbox
 * of their own, which fails rather than be left out; tools that work on files keep to the workdir and what may be written.
 * `env` is the whole environment of the agent.
 */
export function confinement(
  { cwd, options: { environment } }: Pick<SessionRow, 'cwd' | 'options'>,
  env: Record<string, string>,
  skills: string | null,
  { dataDir, credentials, temporary }: Hidden,
): { options: Pick<Options, 'sandbox' | 'additionalDirectories'>; permissions: Permissions } | null {
  if (!environment || !isConfined(environment.config)) return null
  const { config } = environment
  const files = config.type === 'sandbox' ? config.filesystem : NOTHING
  const hosts = allowedHosts(config)
  const configDir = env.CLAUDE_CONFIG_DIR!
  // What the agent put aside of long answers, and its skills.
  const own = [join(configDir, 'projects'), ...(skills === null ? [] : [skills])]
  const within = liesIn(cwd, dataDir)
  const root = temporary()
  const others = root === null ? [dataDir] : [dataDir, root]
  // A home and a place for temporary files that are the session's own; those of the server are not for confined agents.
  const ownFolders = [
    ...(env.HOME === join(dirname(configDir), 'home') ? [env.HOME] : []),
    ...(root !== null && env.TMPDIR !== undefined && dirname(env.TMPDIR) === root ? [env.TMPDIR] : []),
  ]
  const folders = [...ownFolders, ...files.allow_write]
  const isAround = [cwd, ...files.allow_write].some((folder) => liesIn(dataDir, folder))
  return {
    options: {
      sandbox: {
        enabled: true,
        failIfUnavailable: true,
        allowUnsandboxedCommands: false,
        network: hosts === null ? { allowedDomains: ['*'] } : { allowedDomains: hosts, strictAllowlist: true },
        filesystem: {
          allowWrite: [...ownFolders, ...files.allow_write],
          // A workdir around the data folder is no way into it.
          denyWrite: [...files.deny_write, ...(isAround ? [dataDir] : [])],
          denyRead: [...others, ...credentials, ...files.deny_read],
          // What the shell begins with lies in the config dir.
          allowRead: [...(within ? [cwd] : []), configDir, ...ownFolders, ...own, ...files.allow_read],
        },
        credentials: {
          files: [{ path: join(configDir, '.credentials.json'), mode: 'deny' }],
          envVars: Object.keys(env)
            .filter((name) => CREDENTIALS.test(name))
            .map((name) => ({ name, mode: 'deny' as const })),
        },
      },
      ...(folders.length > 0 && { additionalDirectories: folders }),
    },
    permissions: {
      blockWritesOutsideWorkingDirectories: true,
      blockFileToolReadsOutsideWorkingDirectories: true,
      blockReadsExemptPaths: [...own, ...files.allow_read],
      workingDirectoriesExclude: [...others, ...credentials, ...files.deny_read],
    },
  }
}

const NOTHING = { allow_write: [], deny_write: [], deny_read: [], allow_read: [] }

/** Why a call that the agent itself would make on the network is not made in this environment; null: it may be. */
export function refusedFetch(
  { environment }: Pick<SessionRow['options'], 'environment'>,
  name: string,
  input: unknown,
): string | null {
  if (name !== 'WebFetch' || !environment) return null
  const hosts = allowedHosts(environment.config)
  if (hosts === null) return null
  const host = hostOf((input as { url?: unknown } | null)?.url)
  if (host !== null && isHostIn(hosts, host)) return null
  return `The environment of this session lets nothing connect to ${host ?? 'that address'}.`
}
