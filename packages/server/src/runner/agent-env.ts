import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { removeTreeSync } from '../lib/remove-tree.ts'

/** What of the server's environment the agent may see. Nothing else of it reaches the agent. */
const PASSED =
  /^(PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|TERM|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|ANTHROPIC_\w+|CLAUDE_CODE_\w+|AWS_\w+|GOOGLE_\w+|GCLOUD_\w+|CLOUD_ML_REGION|VERTEX_\w+|IS_SANDBOX|API_TIMEOUT_MS)$/

/** Set by a Claude Code that started the server, about itself. */
const NOT_PASSED = /^CLAUDE_CODE_(ENTRYPOINT|SSE_PORT|SESSION_ID|CHILD_SESSION)$/

export interface AgentEnvInput {
  server: NodeJS.ProcessEnv
  caller: Record<string, string>
  configDir: string
  /** A home and a folder for temporary files of the session's own; null: the server's. */
  home: { HOME: string; TMPDIR: string } | null
  /** Endpoint and key of the demo model, when it plays, or of the credential proxy. */
  model: Record<string, string>
  version: string
  /** Whether work may go on behind an answer. */
  background: boolean
}

/** The whole environment of an agent. What the server sets wins over the caller, the caller over what is passed. */
export function agentEnv(input: AgentEnvInput): Record<string, string> {
  const env: Record<string, string> = {
    // The agent's own housekeeping has no place in a server; the operator may set these otherwise.
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_DISABLE_AUTO_MEMORY: '1',
    // A prompt that it gave itself would be a turn that nobody asked for, between two that are accounted for.
    CLAUDE_CODE_DISABLE_CRON: '1',
    // A subagent then ends before the turn that started it.
    ...(input.background ? {} : { CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1' }),
  }
  for (const [name, value] of Object.entries(input.server))
    if (value !== undefined && PASSED.test(name) && !NOT_PASSED.test(name)) env[name] = value
  return {
    ...env,
    ...input.caller,
    ...input.model,
    ...input.home,
    CLAUDE_CONFIG_DIR: input.configDir,
    // Says when a turn is really over: a result alone may be followed by another.
    CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS: '1',
    CLAUDE_AGENT_SDK_CLIENT_APP: `troupe/${input.version}`,
  }
}

/**
 * Makes a session's config dir, and lends it the login that Claude Code has stored on this machine. Null: it has none, and
 * what it was lent before is taken back.
 */
export function makeConfigDir(configDir: string, storedLogin: string | null): void {
  mkdirSync(configDir, { recursive: true, mode: 0o700 })
  const link = join(configDir, '.credentials.json')
  if (storedLogin === null) return rmSync(link, { force: true })
  if (!existsSync(link)) symlinkSync(storedLogin, link)
}

/**
 * Removes from a config dir whatever is neither a file nor a folder. The SDK copies its files for an agent that is resumed,
 * in this process and wherever links lead (measured, SDK 0.3.330): what an agent in a container could put there must not fetch
 * it what it cannot reach itself.
 */
export function dropLinks(configDir: string): void {
  if (!existsSync(configDir)) return
  for (const entry of readdirSync(configDir, { withFileTypes: true }))
    if (!entry.isFile() && !entry.isDirectory()) rmSync(join(configDir, entry.name), { force: true })
}

/**
 * Removes what an agent wrote on disk of a conversation that begins anew: an earlier process was killed before anything
 * reached the store, or a rewind went back to the start. The agent refuses the id of a transcript that it finds there.
 */
export function forgetTranscripts(configDir: string | undefined): void {
  if (configDir !== undefined) removeTreeSync(join(configDir, 'projects'))
}
