import type { DemoModel } from '@troupe/demo-model/demo-model'
import { idToUuid } from '@troupe/protocol/ids'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { withPackages } from '../environments/packages.ts'
import { withoutCredentials } from '../proxy/credential.ts'
import type { CredentialProxy } from '../proxy/credential-proxy.ts'
import { agentEnv, dropLinks, makeConfigDir } from '../runner/agent-env.ts'
import type { RunContext } from '../runner/run-context.ts'
import { gitIdentity, makeHome } from '../runner/session-home.ts'
import { sessionPaths } from '../sessions/admission.ts'
import { sessionVariables } from '../sessions/session-environment.ts'
import { makeTemporaryRoot } from '../sessions/temporary-root.ts'
import type { AgentBounds } from './agent-bounds.ts'

export interface EnvParts {
  user: AgentBounds['user']
  sessionsDir: string
  proxy: CredentialProxy | null
  /** A stored login that agents are to read. */
  login: string | null
  demoModel: DemoModel | null
  version: string
}

/** Gives each session's agent its environment, with the folders that it names. */
export function envMaker(config: Config, parts: EnvParts): RunContext['prepareEnv'] {
  const { user, sessionsDir, proxy, login, demoModel, version } = parts
  const ownHomes = config.session_home === 'auto' ? process.platform === 'linux' : config.session_home === 'on'
  const identity = ownHomes ? gitIdentity(config.env) : ''
  /** A session's own home, and its folder for temporary files. */
  const homeOf = (id: string, home: string, contained: boolean) => {
    const tmp = join(makeTemporaryRoot(config.data_dir, config.env.TMPDIR ?? '/tmp', user !== null), idToUuid(id))
    // No link leads out of a container.
    return makeHome({ home, tmp }, contained ? {} : config.env, identity, user)
  }
  const demoEnv: Record<string, string> = demoModel
    ? { ANTHROPIC_BASE_URL: demoModel.url, ANTHROPIC_API_KEY: 'demo' }
    : {}
  return (session) => {
    const paths = sessionPaths(sessionsDir, session.id)
    const { configDir } = paths
    const contained = session.options.environment?.config.type === 'container'
    const group = user?.guard(paths.root) ?? 0
    if (contained) dropLinks(configDir)
    makeConfigDir(configDir, login)
    user?.give(configDir, group)
    const env = agentEnv({
      server: proxy ? withoutCredentials(config.env) : config.env,
      caller: sessionVariables(session.options),
      configDir,
      home: ownHomes ? homeOf(session.id, paths.home, contained) : null,
      version,
      background: config.background_seconds > 0,
      model: proxy?.admit(session.id) ?? demoEnv,
    })
    return withPackages(env, session.options.environment?.config)
  }
}
