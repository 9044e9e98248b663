import { connect, type Socket } from 'node:net'

/**
 * HTTP/1.1 with as little work as possible: one request at a time on each connection, answers found by their
 * Content-Length. A client that costs as much as the server would measure itself.
 */
export async function load(
  url: string,
  request: (n: number) => string,
  options: { connections: number; requests: number },
): Promise<{ perSecond: number; latencies: number[] }> {
  const { hostname, port } = new URL(url)
  const sockets = await Promise.all(
    Array.from({ length: options.connections }, () => openSocket(hostname, Number(port))),
  )
  let next = 0
  const latencies: number[] = []
  const started = performance.now()
  await Promise.all(
    sockets.map(async (socket) => {
      const exchange = exchanger(socket)
      while (next < options.requests) {
        const begun = performance.now()
        await exchange(request(next++))
        latencies.push(performance.now() - begun)
      }
    }),
  )
  const seconds = (performance.now() - started) / 1000
  for (const socket of sockets) socket.destroy()
  return { perSecond: options.requests / seconds, latencies }
}

export const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`

export const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

export async function openSocket(host: string, port: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect(port, host, resolve).setNoDelay(true)
  socket.once('error', reject)
  await promise
  return socket
}

/** Sends a request and resolves when its answer, which must be a 200, is there. */
function exchanger(socket: Socket): (request: string) => Promise<void> {
  let waiting: PromiseWithResolvers<void> | null = null
  let left = -1
  let head = ''
  socket.on('data', (chunk) => {
    if (left < 0) {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!head.startsWith('HTTP/1.1 200')) waiting?.reject(new Error(head))
      left = Number(/content-length: (\d+)/i.exec(head)![1]) - (head.length - end - 4)
      head = ''
    } else left -= chunk.length
    if (left > 0) return
    left = -1
    waiting?.resolve()
  })
  socket.on('error', (error) => waiting?.reject(error))
  return (request) => {
    waiting = Promise.withResolvers<void>()
    socket.write(request)
    return waiting.promise
  }
}
