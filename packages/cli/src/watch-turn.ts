import type { Client } from '@troupe/client/client'
import { Unreachable } from '@troupe/client/errors'
import type { Session } from '@troupe/protocol/session'
import { EXIT, type ExitCode, Failure } from './exit.ts'
import { alreadyEnded, exitCodeOfTurn, followTurn, type TurnEnd } from './follow-turn.ts'
import type { InterruptKey } from './interrupt.ts'
import { printJson } from './json.ts'
import { Screen } from './screen.ts'
import { turnLine } from './turn-line.ts'
import { TurnPrinter } from './turn-printer.ts'

export interface Watched {
  session: Session
  /** Null means that of the session's first input. */
  turnId: string | null
  /** The `seq` before the turn's input. */
  after: number
  json: boolean
}

/** Shows a turn until it has come to rest and answers the exit code. Ctrl+C stops the turn, and only this one. */
export async function watchTurn(
  client: Client,
  screen: Screen,
  key: InterruptKey,
  watched: Watched,
): Promise<ExitCode> {
  const { session, json } = watched
  // Where the answer is a value, the words on the way to it are about the work.
  const valued = session.output_schema !== null
  const printer = new TurnPrinter(valued ? new Screen(process.stderr) : screen, { cwd: session.cwd })
  const { dim, yellow } = screen.paint
  let end: TurnEnd
  try {
    end = await followTurn(client, session.id, {
      turnId: watched.turnId,
      after: watched.after,
      deltas: !json,
      onFrame: (frame) => (json ? printJson(frame) : printer.print(frame)),
      onTurn: (turnId) =>
        key.arm(async () => {
          await client.turns.cancel(session.id, turnId).catch((error: unknown) => {
            if (!alreadyEnded(error)) throw error
          })
        }),
      onLost: (message) => screen.note(dim(`  ${message}`)),
    })
  } catch (error) {
    printer.end()
    if (!(error instanceof Unreachable)) throw error
    throw new Failure(
      `${error.message} If the server comes back, the session is there: troupe logs -f ${session.id}`,
      EXIT.unreachable,
    )
  }
  printer.end()
  if (json) {
    printJson(await client.sessions.retrieve(session.id))
    return exitCodeOfTurn(end, key.pressed)
  }
  if (printer.denied > 0)
    screen.note(
      `  ${yellow('⊘')} ${printer.denied} tool ${printer.denied === 1 ? 'call was' : 'calls were'} denied; --allowed-tools or --permission-mode of a new session lets them run.`,
    )
  if (end.status === 'waiting') screen.note(`  ${yellow('?')} A tool call waits for an approval.`)
  const turn = printer.view.turns.at(-1)
  const demo = session.model_source === 'demo' ? ['demo model'] : []
  if (valued && end.status === 'completed')
    process.stdout.write(
      `${JSON.stringify((await client.sessions.retrieve(session.id)).result?.structured, null, 2)}\n`,
    )
  if (turn) screen.note(turnLine(turn, screen.paint, [...demo, session.id]))
  return exitCodeOfTurn(end, key.pressed)
}
