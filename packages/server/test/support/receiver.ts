import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { WebhookPayload } from '@troupe/protocol/webhook'

export interface Received {
  path: string
  headers: Record<string, string>
  /** The text as it came, which is what is signed. */
  body: string
  payload: WebhookPayload
  id: string
}

type Answer = (received: Received, response: ServerResponse, request: IncomingMessage) => void

export interface Receiver {
  readonly url: string
  readonly received: Received[]
  /** What is answered from now on; at first 200. */
  answer: Answer
  /** Resolves with all that came, once this many have. */
  until(count: number): Promise<Received[]>
  /** Resolves with the first that matches, from the beginning. */
  first(match: (received: Received) => boolean): Promise<Received>
  close(): Promise<void>
}

/** A receiver of webhooks on loopback, over http. */
export async function receiver(): Promise<Receiver> {
  const received: Received[] = []
  let wake: (() => void)[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const headers = request.headers as Record<string, string>
      const one: Received = {
        path: request.url!,
        headers,
        body,
        payload: JSON.parse(body) as WebhookPayload,
        id: headers['webhook-id']!,
      }
      received.push(one)
      self.answer(one, response, request)
      for (const each of wake.splice(0)) each()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const when = async <T>(look: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      await new Promise<void>((resolve) => wake.push(resolve))
    }
  }
  const self: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answer: (_received, response) => response.end('thanks'),
    until: (count) => when(() => (received.length >= count ? received : undefined)),
    first: (match) => when(() => received.find(match)),
    async close() {
      wake = []
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return self
}

/** Answers with a status, and nothing else. */
export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_received, response) =>
    response.writeHead(code, headers).end()
