import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from 'node:http'
import { connect, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { pinnedTo } from '../lib/pinned.ts'
import type { Resolve } from '../lib/system-resolver.ts'
import { endToEnd } from './headers.ts'
import { NoWay, refuse, refuseTunnel } from './no-way.ts'
import { relay } from './relay.ts'
import { addressesOf, routeOf, type WaysOut } from './ways-out.ts'

/** Bytes of headers that one request may have. */
const MAX_HEADER_BYTES = 64 * 1024
/** Connections from one container at once; further ones are closed as they come. */
const MAX_CONNECTIONS = 128
/** Headers that are written anew. */
const OURS = /^(host|expect|content-length)$/i
/** Host and port, as CONNECT names them. */
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[\w.-]+):\d{1,5}$/i

/**
 * All that a container with a network of its own reaches: an HTTP proxy that connects where the list of its environment says
 * and nowhere else, and the paths of endpoints that it stands for. Where to is decided by the address of a request or of its
 * CONNECT alone; a name is resolved here, once for each connection, and redirects are for who asked. No time limits: those
 * are for the ends. Ends with its container.
 */
export class Gateway {
  readonly #ways: WaysOut
  readonly #resolve: Resolve
  readonly #server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: 0, keepAliveTimeout: 0 })
  readonly #sockets = new Set<Socket>()
  /** One name at a time: a container that asks for slow ones holds up itself. */
  #lookup: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(ways: WaysOut, resolve: Resolve) {
    this.#ways = ways
    this.#resolve = (name) => {
      const found = this.#lookup.then(() => resolve(name))
      this.#lookup = found.catch(() => undefined)
      return found
    }
    this.#server.maxConnections = MAX_CONNECTIONS
    // One that could not be taken is let go; the next may be.
    this.#server.on('error', () => {})
    this.#server.on('connection', (socket) => this.#keep(socket))
    this.#server.on('request', (request, response) => {
      this.#forward(request, response).catch((error: unknown) => refuse(response, error))
    })
    this.#server.on('connect', (request, socket, head) => {
      socket.on('error', () => socket.destroy())
      this.#tunnel(request.url ?? '', socket, head).catch((error: unknown) => refuseTunnel(socket, error))
    })
  }

  /** Answers what comes to a socket that listens in the container. */
  listen(socket: Server): void {
    if (this.#closed) socket.close()
    else this.#server.listen(socket)
  }

  /** Cuts every connection. More than once is once. */
  close(): void {
    this.#closed = true
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '', rawHeaders, headers } = request
    const afar = targetOf(url)
    const { to, path } = afar ? { to: afar, path: afar.pathname + afar.search } : routeOf(this.#ways, method, url)
    const lookup = afar ? pinnedTo(await addressesOf(afar, this.#ways, this.#resolve)) : undefined
    if (response.closed) return
    const lines = endToEnd(rawHeaders, headers.connection).filter(([name]) => !OURS.test(name))
    const framing = framingOf(headers)
    const onward = httpRequest({
      agent: false,
      hostname: to.hostname.replace(/^\[|\]$/g, ''),
      port: to.port || 80,
      method,
      path,
      headers: [['Host', to.host], ...lines, ...framing].flat(),
      setHost: false,
      ...(lookup && { lookup }),
    })
    relay(request, response, onward, framing.length > 0)
  }

  async #tunnel(authority: string, socket: Duplex, head: Buffer): Promise<void> {
    const to = AUTHORITY.test(authority) ? URL.parse(`http://${authority}`) : null
    if (!to) throw new NoWay(400, 'CONNECT takes a host and a port.')
    const lookup = pinnedTo(await addressesOf(to, this.#ways, this.#resolve))
    if (socket.destroyed || this.#closed) return void socket.destroy()
    const onward = connect({
      host: to.hostname.replace(/^\[|\]$/g, ''),
      port: Number(to.port || 80),
      lookup,
      allowHalfOpen: true,
    })
    this.#keep(onward)
    let connected = false
    onward.once('connect', () => {
      connected = true
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      if (head.length > 0) onward.write(head)
      socket.pipe(onward).pipe(socket)
    })
    onward.once('error', () => {
      if (!connected) refuseTunnel(socket, new NoWay(502, `${to.hostname} cannot be reached.`))
    })
    onward.once('close', () => {
      if (connected) socket.destroy()
    })
    socket.once('close', () => onward.destroy())
  }
}

/** The framing of a body as it came: one that stood unframed behind its head would be read there as a request. */
function framingOf(headers: IncomingHttpHeaders): [string, string][] {
  if (headers['transfer-encoding'] !== undefined) return [['Transfer-Encoding', 'chunked']]
  const length = headers['content-length']
  return length === undefined ? [] : [['Content-Length', length]]
}

/** The address that a request to a proxy has; null: it is to the gateway itself. Throws `NoWay`. */
function targetOf(target: string): URL | null {
  if (target.startsWith('/')) return null
  const url = URL.parse(target)
  if (url?.protocol !== 'http:')
    throw new NoWay(400, 'What is asked for here has an http address; others take CONNECT.')
  return url
}
