import type { SpawnOptions } from '@anthropic-ai/claude-agent-sdk'
import { realpathSync } from 'node:fs'
import type { Server } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'
import type { Containers } from '../environments/containers.ts'
import { idToUuid } from '@troupe/protocol/ids'
import type { SessionRow } from '../store/session-row.ts'
import type { Containment } from './containment.ts'
import { gatewayFor, type GatewaySettings } from './gateway-for.ts'
import type { PidFiles } from './pid-files.ts'
import { type AgentChild, spawnAgent } from './spawn-agent.ts'

export interface SpawnSettings {
  containment: Containment
  pidFiles: PidFiles
  containers: Containers
  gateways: GatewaySettings
}

/**
 * A workdir that another session could put a link in the place of must not bring into a container where that leads.
 */
function assertPlace({ cwd, options }: Pick<SessionRow, 'cwd' | 'options'>): void {
  const place = options.ownWorkdir ? join(realpathSync(dirname(cwd)), basename(cwd)) : resolve(cwd)
  if (realpathSync(cwd) !== place) throw new Error(`The workdir ${JSON.stringify(cwd)} has become a link.`)
}

/** Programs that are given the file they run as their first argument. */
const INTERPRETERS = /^(node|bun|deno)$/

/**
 * Starts a process of a session where its environment says: on this machine, or in a container with the workdir and what
 * is the session's own. `lent`: what it reads of this machine besides; for an agent, beside its program. Throws where there
 * is no image any more.
 */
export function spawnFor(
  settings: SpawnSettings,
  session: Pick<SessionRow, 'id' | 'cwd' | 'options' | 'agent'>,
  options: SpawnOptions,
  lent: readonly string[] | null = null,
): AgentChild {
  const { containment, pidFiles, containers } = settings
  const config = session.options.environment?.config
  if (config?.type !== 'container') return spawnAgent(options, session.id, containment, pidFiles)
  assertPlace(session)
  const { command, args } = options
  const env = Object.fromEntries(
    Object.entries(options.env).filter((pair): pair is [string, string] => pair[1] !== undefined),
  )
  // A home of the server's user is not for containers.
  const isOwn = (folder: string | undefined) => folder !== undefined && folder.includes(idToUuid(session.id))
  const home = isOwn(env.HOME) ? env.HOME! : '/tmp'
  const temporary = isOwn(env.TMPDIR) ? env.TMPDIR! : '/tmp'
  const own = [session.cwd, env.CLAUDE_CONFIG_DIR, home, temporary].filter(
    (folder): folder is string => folder !== undefined && folder !== '/tmp',
  )
  // Programs of commands are those of the image.
  const script = INTERPRETERS.test(basename(command)) ? args.slice(0, 1) : []
  const program = lent === null ? [] : [command, ...script, ...lent]
  const whole = { ...env, HOME: home, TMPDIR: temporary }
  const limited = gatewayFor(settings.gateways, session, whole, lent !== null)
  const container = containers.prepare(
    config.image,
    { args: [command, ...args], env: limited?.env ?? whole, cwd: session.cwd },
    { own, program },
    config.resources,
    limited !== null,
  )
  const started = { ...options, command: container.command, args: container.args, env: container.env, cwd: '/' }
  const handed = limited && ((socket: Server) => limited.gateway.listen(socket))
  const child = spawnAgent(started, session.id, containment, pidFiles, handed)
  void child.exited.then(() => {
    limited?.gateway.close()
    return container.clean()
  })
  return child
}
