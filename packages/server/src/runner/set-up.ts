import { SETUP_SECONDS } from '@troupe/protocol/environment'
import { idToUuid } from '@troupe/protocol/ids'
import { packageCommands } from '../environments/packages.ts'
import { changeSession } from '../sessions/change-session.ts'
import { newEvent } from '../sessions/new-event.ts'
import { sessionVariables } from '../sessions/session-environment.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import { commandEnv } from './command-env.ts'
import { type CommandEnd, runCommand } from './run-command.ts'
import type { RunContext } from './run-context.ts'

/** Characters of what a command said last that its event has. */
const SHOWN_CHARS = 8_192
/** Shorter values are masked nowhere: `1` or `test` would make every line unreadable. */
const MIN_SECRET_CHARS = 6
const MASK = '[hidden]'

/** Why a workdir is not prepared. Its message is for the session's log. */
export class SetupProblem extends Error {
  override readonly name = 'SetupProblem'
  readonly details: Record<string, unknown>
  readonly code: 'setup_failed' | 'worktree_failed'
  constructor(message: string, details: Record<string, unknown>, code: SetupProblem['code'] = 'setup_failed') {
    super(message)
    this.details = details
    this.code = code
  }
}

/** The commands that are still to be run for a session before its agent begins. */
export function pendingSetup({ options }: Pick<SessionRow, 'options'>): readonly string[] {
  const config = options.environment?.config
  if (options.setUp || !config) return []
  return 'setup' in config ? (config.setup ?? []) : packageCommands(config)
}

/**
 * Runs the setup of a session's environment in its workdir, with the environment of its agent but without what the agent
 * reaches its model with. That it has run is written with the end of its last command: after a failure, an interrupt or
 * the death of the server all of it runs again before the next turn, so commands must bear that. The caller has the
 * workdir's lock. Throws `SetupProblem`.
 */
export async function setUp(
  context: RunContext,
  session: SessionRow,
  turn: TurnRow,
  epoch: number,
  signal: AbortSignal,
): Promise<void> {
  const commands = pendingSetup(session)
  if (commands.length === 0) return
  const { clock } = context.sessions
  const seconds = secondsFor(session, turn, clock.now())
  const late = AbortSignal.timeout(seconds * 1000)
  const whole = context.prepareEnv(session)
  const secrets = secretsOf(session, whole)
  if (session.options.environment?.config.type === 'cloud' && !whole.HOME?.includes(idToUuid(session.id)))
    throw new SetupProblem('Packages are installed into the home of a session, and session_home is off.', {})
  await note(context, session.id, epoch, 'session.setup_started', turn.id, {
    commands: commands.length,
    timeout_seconds: seconds,
  })
  try {
    for (const [index, command] of commands.entries()) {
      const began = clock.now()
      const env = commandEnv(whole, session.options)
      const stop = AbortSignal.any([signal, late])
      const end = await runCommand(context.agent, {
        session,
        command,
        env,
        signal: stop,
      })
      const result = resultOf(end, signal.aborted, late.aborted)
      const last = tail(end, secrets)
      const details = { number: index + 1, of: commands.length, command: masked(command, secrets) }
      const how = { result, exit_code: end.code, signal: end.signal }
      const duration = { duration_ms: clock.now() - began }
      const done = result === 'completed' && index + 1 === commands.length
      const body = { ...details, ...how, ...duration, ...last }
      await note(context, session.id, epoch, 'session.setup_command', turn.id, body, done)
      if (result !== 'completed')
        throw new SetupProblem(problem(index, commands.length, command, end, result, seconds, secrets), {
          ...details,
          ...how,
        })
    }
  } finally {
    context.agent.gone?.(whole)
  }
}

/** All of a turn's time counts, this too. */
function secondsFor({ options }: SessionRow, turn: TurnRow, now: number): number {
  const config = options.environment?.config
  const own = (config && 'setup' in config && config.setup_timeout_seconds) || SETUP_SECONDS
  const { turnTimeoutSeconds } = options
  if (turnTimeoutSeconds == null) return own
  const left = turnTimeoutSeconds - (now - (turn.startedAt ?? now)) / 1000
  return Math.max(1, Math.min(own, Math.ceil(left)))
}

type Result = 'completed' | 'failed' | 'timed_out' | 'interrupted'

function resultOf({ code, error }: CommandEnd, stopped: boolean, late: boolean): Result {
  if (code === 0 && !error) return 'completed'
  if (stopped) return 'interrupted'
  return late ? 'timed_out' : 'failed'
}

/** The event, and with the last one that the setup has run, in one transaction. */
async function note(
  { sessions }: RunContext,
  sessionId: string,
  epoch: number,
  type: string,
  turnId: string,
  body: Record<string, unknown>,
  done = false,
): Promise<void> {
  await changeSession(sessions, sessionId, ({ session }, at) => ({
    epoch,
    session: done ? { options: { ...session.options, setUp: true } } : {},
    events: [newEvent(type, turnId, at, body)],
  }))
}

/** Names of variables that the server passes on and whose values may hold a credential. */
const MAY_BE_SECRET = /(TOKEN|SECRET|PASSW|KEY|CREDENTIAL|AUTH|(HTTPS?|ALL)_PROXY)/i

/**
 * What no event shows: values that environment and request set, and those of variables that sound like credentials. The
 * longest first, and the lines of those that have several: what a command says has them apart.
 */
function secretsOf({ options }: Pick<SessionRow, 'options'>, env: Record<string, string>): string[] {
  const passed = Object.entries(env).flatMap(([name, value]) => (MAY_BE_SECRET.test(name) ? [value] : []))
  const values = [...Object.values(sessionVariables(options)), ...passed]
  return [...new Set(values.flatMap((value) => [value, ...value.split('\n')]))]
    .filter((value) => value.length >= MIN_SECRET_CHARS)
    .toSorted((a, b) => b.length - a.length)
}

const masked = (text: string, secrets: readonly string[]): string =>
  secrets.reduce((rest, secret) => rest.replaceAll(secret, MASK), text)

/** Masked before it is cut: no half of a secret is left at the edge. */
function tail({ said, cut }: CommandEnd, secrets: readonly string[]): { output: string; truncated: boolean } {
  const whole = masked(said, secrets)
  return { output: whole.slice(-SHOWN_CHARS), truncated: cut || whole.length > SHOWN_CHARS }
}

function problem(
  index: number,
  count: number,
  command: string,
  end: CommandEnd,
  result: Result,
  seconds: number,
  secrets: readonly string[],
): string {
  const which = `Setup command ${index + 1} of ${count} (${masked(command, secrets).slice(0, 200)})`
  const again = 'Send a message to run the setup again.'
  if (result === 'timed_out') return `${which} was ended: all of the setup may take ${seconds} s. ${again}`
  if (end.error) return `${which} could not be started: ${end.error.message}. ${again}`
  const how = end.signal ? `was ended by ${end.signal}` : `exited with code ${end.code}`
  const last = tail(end, secrets).output.trim().slice(-500)
  return `${which} ${how}.${last ? ` It last said: ${last}` : ''} ${again}`
}
