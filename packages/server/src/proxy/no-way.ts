import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

/** Why a connection is not made, for whoever asked. */
export class NoWay extends Error {
  override readonly name = 'NoWay'
  readonly status: 400 | 403 | 404 | 502
  constructor(status: NoWay['status'], message: string) {
    super(message)
    this.status = status
  }
}

const toldOf = (error: unknown): [number, string] =>
  error instanceof NoWay ? [error.status, `${error.message}\n`] : [502, 'The connection could not be made.\n']

/** Says no to a request. Anything but a `NoWay` is told without its words. */
export function refuse(response: ServerResponse, error: unknown): void {
  const [status, message] = toldOf(error)
  if (response.headersSent) return void response.destroy()
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(message),
    connection: 'close',
  })
  response.end(message)
}

/** Says no to a CONNECT, whose socket is no response. */
export function refuseTunnel(socket: Duplex, error: unknown): void {
  const [status, message] = toldOf(error)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(message)}`,
    'Connection: close',
  ]
  // Its end is seen only where it is read to it.
  socket.resume().end(`${head.join('\r\n')}\r\n\r\n${message}`)
}
