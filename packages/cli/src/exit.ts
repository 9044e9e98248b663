import type { TroupeError } from '@troupe/client/errors'

/** What a script learns from the exit code; documented in `troupe --help`. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  needsApproval: 5,
  interrupted: 130,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_HELP: readonly (readonly [ExitCode, string])[] = [
  [EXIT.done, 'done'],
  [EXIT.failed, 'the turn failed, was stopped, or did not end in time'],
  [EXIT.usage, 'the command or the request is wrong'],
  [EXIT.unreachable, 'no server answers'],
  [EXIT.refused, 'the server refuses the key (401, 403)'],
  [EXIT.needsApproval, 'a tool call waits for an approval'],
  [EXIT.interrupted, 'interrupted with Ctrl+C'],
]

/** An expected end: told in one message, without a stack trace. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly exitCode: ExitCode
  constructor(message: string, exitCode: ExitCode = EXIT.failed) {
    super(message)
    this.exitCode = exitCode
  }
}

export class UsageError extends Failure {
  constructor(message: string) {
    super(message, EXIT.usage)
  }
}

/** Everything that may be thrown, as a person and as a program read it. */
export function explain(error: unknown): { message: string; exitCode: ExitCode; json: Record<string, unknown> } {
  const message = error instanceof Error ? error.message : String(error)
  // By name: the client's classes are not loaded only to say that there is no such command.
  const name = error instanceof Error ? error.name : ''
  const say = (exitCode: ExitCode, code: string, words = message, more = {}) => ({
    message: words,
    exitCode,
    json: { code, message: words, ...more },
  })
  if (name === 'Unreachable')
    return say(
      EXIT.unreachable,
      'unreachable',
      `${message} Start a server with "troupe serve", or name another with --url or TROUPE_URL.`,
    )
  if (name === 'TroupeError') {
    const { status, code, requestId, errors } = error as TroupeError
    return say(exitCodeOf(status, code), code, message, { status, request_id: requestId, errors })
  }
  if (error instanceof Failure) return say(error.exitCode, error.exitCode === EXIT.usage ? 'usage' : 'failed')
  // citty's own error for a missing argument or a value that is none of the options; the class is not exported.
  if (name === 'CLIError') return say(EXIT.usage, 'usage', message)
  return say(EXIT.failed, 'internal', `${message} (a bug in troupe: NODE_DEBUG=troupe shows where)`)
}

function exitCodeOf(status: number, code: string): ExitCode {
  if (code === 'unexpected_answer') return EXIT.unreachable
  if (status === 401 || status === 403) return EXIT.refused
  return status < 500 && status !== 409 && status !== 429 ? EXIT.usage : EXIT.failed
}
