import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Session } from '@troupe/protocol/session'
import type { SessionEvent } from '@troupe/protocol/event'
import type { Turn } from '@troupe/protocol/turn'
import { type App, type AppOptions, startApp } from '../../src/app.ts'
import { loadConfig, type Setting } from '../../src/config.ts'

export const FAKE_AGENT = fileURLToPath(new URL('fake-agent.mjs', import.meta.url))

/** What of this machine's environment a test server may see: never a real key. */
export function testEnv(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { PATH, HOME, LANG, TMPDIR } = process.env
  return { PATH, HOME, LANG, TMPDIR, IS_SANDBOX: '1', ...more }
}

export interface TestServer {
  readonly app: App
  readonly url: string
  readonly folder: string
  get<T = Record<string, unknown>>(path: string): Promise<T>
  post<T = Record<string, unknown>>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T>
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>
  /** Creates a session whose first turn has this prompt. */
  create(prompt: string | null, fields?: Record<string, unknown>): Promise<Session>
  send(id: string, prompt: string): Promise<{ data: SessionEvent[] }>
  idle(id: string): Promise<Session>
  events(id: string): Promise<SessionEvent[]>
  turns(id: string): Promise<Turn[]>
  /** Resolves with the first event, from the log's start, that matches. */
  event(id: string, match: (event: SessionEvent) => boolean): Promise<SessionEvent>
  restart(flags?: Partial<Record<Setting, unknown>>): Promise<void>
  stop(): Promise<void>
}

export interface Reply {
  status: number
  headers: Headers
  body: Record<string, unknown> & { detail?: unknown; code?: string }
  text: string
}

/** A real server on a free port with a folder of its own, over HTTP. By default its agent is the scripted process. */
export async function testServer(
  flags: Partial<Record<Setting, unknown>> = {},
  options: AppOptions & { env?: NodeJS.ProcessEnv } = {},
): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-test-'))
  const start = (more: Partial<Record<Setting, unknown>> = {}) =>
    startApp(
      loadConfig({
        flags: {
          port: 0,
          data_dir: join(folder, 'data'),
          drain_seconds: 5,
          // What is told of how an agent starts on its transcript is tested on agents that do. Those of a whole run can
          // be kept alive instead, to see what else would change.
          spares: 0,
          live_seconds: process.env.TEST_LIVE_SECONDS ?? 0,
          agent_executable: FAKE_AGENT,
          credential_proxy: process.env.TEST_CREDENTIAL_PROXY,
          ...flags,
          ...more,
        },
        env: testEnv({ ANTHROPIC_API_KEY: 'test', ...options.env }),
        cwd: folder,
      }),
      options,
    )
  let app = await start()
  const request: TestServer['request'] = async (method, path, body, headers = {}) => {
    const response = await fetch(app.url + path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const json = /[/+]json\b/.test(response.headers.get('content-type') ?? '')
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : {}, text }
  }
  const ok = async (reply: Promise<Reply>) => {
    const { status, body, text } = await reply
    if (status !== 200) throw new Error(`${status}: ${text}`)
    return body as never
  }
  const server: TestServer = {
    get app() {
      return app
    },
    get url() {
      return app.url
    },
    folder,
    request,
    get: (path) => ok(request('GET', path)),
    post: (path, body, headers) => ok(request('POST', path, body, headers)),
    create: (prompt, fields = {}) =>
      server.post('/v1/sessions', {
        ...(prompt !== null && {
          initial_events: [{ type: 'user.message', content: [{ type: 'text', text: prompt }] }],
        }),
        ...fields,
      }),
    send: (id, prompt) =>
      server.post(`/v1/sessions/${id}/events`, {
        events: [{ type: 'user.message', content: [{ type: 'text', text: prompt }] }],
      }),
    idle: (id) => server.get(`/v1/sessions/${id}?wait_for=idle&timeout=240`),
    events: async (id) => (await server.get<{ data: SessionEvent[] }>(`/v1/sessions/${id}/events?limit=1000`)).data,
    turns: async (id) => (await server.get<{ data: Turn[] }>(`/v1/sessions/${id}/turns`)).data,
    async event(id, match) {
      const abort = new AbortController()
      const response = await fetch(`${app.url}/v1/sessions/${id}/events/stream?from=start`, { signal: abort.signal })
      try {
        for await (const event of frames(response)) if (match(event)) return event
      } finally {
        abort.abort()
      }
      throw new Error('the stream ended before the event came')
    },
    async restart(more) {
      await app.stop()
      app = await start(more)
    },
    async stop() {
      await app.stop()
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
  return server
}

/** The events of a stream, as a plain reader sees them. */
export async function* frames(response: Response): AsyncGenerator<SessionEvent> {
  let rest = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop()!
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)
      if (data) yield JSON.parse(data[1]!) as SessionEvent
    }
  }
}
