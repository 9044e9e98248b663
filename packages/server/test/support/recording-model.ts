import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startDemoModel } from '@troupe/demo-model/demo-model'

/** The demo model behind a door that keeps what the agent sends, whole. */
export interface RecordingModel {
  /** For the environment of a server. */
  readonly env: { ANTHROPIC_BASE_URL: string; ANTHROPIC_API_KEY: string }
  /** Messages of the newest request of a session's own conversation, as JSON text. */
  told(uuid: string): string
  /** Its system prompt, as JSON text, without what the SDK notes anew for each request. */
  system(uuid: string): string
  close(): Promise<void>
}

interface Told {
  messages: unknown
  tools?: unknown[]
  system: { text: string }[]
}

export async function recordingModel(): Promise<RecordingModel> {
  const model = await startDemoModel()
  const newest = new Map<string, string>()
  const systems = new Map<string, string>()
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      const session = incoming.headers['x-claude-code-session-id']
      // Errands of the agent have no tools.
      if (typeof session === 'string' && incoming.url?.startsWith('/v1/messages?')) {
        const { messages, tools, system } = JSON.parse(body.toString()) as Told
        if (tools && tools.length > 0) {
          newest.set(session, JSON.stringify(messages))
          const lasting = system.filter(({ text }) => !text.startsWith('x-anthropic-billing-header'))
          systems.set(session, JSON.stringify(lasting.map(({ text }) => text)))
        }
      }
      const { method, headers, url } = incoming
      const forward = request(`${model.url}${url ?? ''}`, { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      })
      forward.on('error', () => outgoing.destroy())
      outgoing.on('close', () => forward.destroy())
      forward.end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    env: {
      ANTHROPIC_BASE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      ANTHROPIC_API_KEY: 'demo',
    },
    system: (uuid) => systems.get(uuid) ?? '',
    told: (uuid) => newest.get(uuid) ?? '',
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await model.close()
    },
  }
}
