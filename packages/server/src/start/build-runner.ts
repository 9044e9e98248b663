import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Logger } from '../lib/logger.ts'
import { systemResolver } from '../lib/system-resolver.ts'
import type { Previews } from '../log/previews.ts'
import type { Wakeups } from '../log/wakeups.ts'
import type { CredentialProxy } from '../proxy/credential-proxy.ts'
import { credentialsOf } from '../runner/confinement.ts'
import { reachedFrom } from '../runner/gateway-for.ts'
import { LentConfig } from '../runner/lent-config.ts'
import { ModelBackoff } from '../runner/model-backoff.ts'
import type { PidFiles } from '../runner/pid-files.ts'
import type { RunContext } from '../runner/run-context.ts'
import { Runner } from '../runner/runner.ts'
import type { ClientToolTokens } from '../sessions/client-tools.ts'
import type { SessionContext } from '../sessions/context.ts'
import { temporaryRoot } from '../sessions/temporary-root.ts'
import type { AgentBounds } from './agent-bounds.ts'

/** Names that containers wait for at once, of all that this machine looks up. */
const GATEWAY_LOOKUPS = 1

export interface RunnerParts {
  sessions: SessionContext
  previews: Previews
  wakeups: Wakeups
  logger: Logger
  bounds: AgentBounds
  pidFiles: PidFiles
  proxy: CredentialProxy | null
  /** The login that this machine has stored, whether agents read it or not. */
  storedLogin: string | null
  prepareEnv: RunContext['prepareEnv']
  clientTools: ClientToolTokens
  /** Resolves as soon as the server serves; from then on there is an `ownUrl`. */
  listening: Promise<void>
  ownUrl: () => string | null
  counted: RunContext['counted']
  random: () => number
}

/** The runner, still at rest. */
export function buildRunner(config: Config, parts: RunnerParts): Runner {
  const { sessions, previews, wakeups, logger, bounds, pidFiles, proxy, storedLogin, clientTools } = parts
  const { store, clock, snapshots, settings } = sessions
  const { user, containment, containers } = bounds
  const login = storedLogin === null ? [] : [storedLogin]
  const credentials = [...credentialsOf(config.env.HOME ?? homedir()), ...login]
  const toolsUrl = (sessionId: string) => {
    const url = parts.ownUrl()
    return url && `${url}/internal/client-tools/${sessionId}`
  }
  return new Runner(
    {
      sessions,
      snapshots,
      previews,
      wakeups,
      logger,
      async clientTools(session) {
        await parts.listening
        return { url: reachedFrom(session, toolsUrl(session.id)!), token: clientTools.token(session.id) }
      },
      stallMs: config.model_stall_seconds * 1000,
      counted: parts.counted,
      backoff: new ModelBackoff(clock, parts.random),
      backgroundMs: config.background_seconds * 1000,
      agent: {
        store,
        containment,
        containers,
        gateways: { resolve: systemResolver(undefined, GATEWAY_LOOKUPS), clientTools: toolsUrl },
        pidFiles,
        executable: config.agent_executable,
        hidden: { dataDir: config.data_dir, credentials, temporary: () => temporaryRoot(config.data_dir) },
        allowStdioMcp: config.allow_stdio_mcp,
        lent: user && new LentConfig(user, settings.sessionsDir, join(config.data_dir, 'no-config')),
        gone: (env) => proxy?.dismiss(env),
      },
      prepareEnv: parts.prepareEnv,
    },
    {
      slots: config.max_running,
      spares: config.spares,
      restMs: config.live_seconds * 1000,
      maxResting: config.max_live ?? config.max_running,
      memoryBytes: config.max_memory_mb * 2 ** 20,
      drainMs: config.drain_seconds * 1000,
    },
  )
}
