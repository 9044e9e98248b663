import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { endToEnd } from './headers.ts'

/**
 * Passes a request on, and its answer back, each at the pace of whoever reads slower. It ends here as it ended there: a body
 * that was cut is cut, and who leaves here leaves there. `broken`: told when it broke off there while somebody waited.
 */
export function relay(
  request: IncomingMessage,
  response: ServerResponse,
  onward: ClientRequest,
  hasBody: boolean,
  broken: (err: NodeJS.ErrnoException) => void = () => {},
): void {
  onward.once('response', (answer) => {
    answer.once('error', () => response.destroy())
    answer.once('close', () => {
      if (!answer.complete) response.destroy()
    })
    response.writeHead(
      answer.statusCode!,
      answer.statusMessage,
      endToEnd(answer.rawHeaders, answer.headers.connection).flat(),
    )
    response.flushHeaders()
    answer.pipe(response)
  })
  onward.once('error', (err: NodeJS.ErrnoException) => {
    if (!response.closed) broken(err)
    // As its sender would see it without us: no answer at all, which it may try again.
    response.destroy()
  })
  // However it ended: who waits here is let go.
  onward.once('close', () => {
    if (!response.headersSent) response.destroy()
  })
  response.once('close', () => onward.destroy())
  request.once('error', () => onward.destroy())
  if (hasBody) request.pipe(onward)
  else onward.end()
}
