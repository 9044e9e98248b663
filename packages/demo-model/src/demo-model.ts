import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerCount, answerMessages, emptyRecord, type Exchange } from './answer.ts'
import { answerControl } from './control.ts'
import { HttpError, sendError, sendJson } from './http.ts'
import { newId } from './reply.ts'
import { RequestLog, type RecordedRequest } from './request-log.ts'
import { ScriptBook } from './script-book.ts'
import type { Step } from './step.ts'

export type { RecordedRequest, RequestLog } from './request-log.ts'
export { parseSteps, StepError, type Failure, type Step, type ToolCall, type Usage } from './step.ts'

/**
 * A scripted Anthropic Messages endpoint. The genuine agent, given its url as `ANTHROPIC_BASE_URL` and any string as
 * `ANTHROPIC_API_KEY`, plays the script with real tools. The next step is read from each request, so agent and
 * endpoint may both be restarted in the middle of a turn.
 */
export interface DemoModel {
  /** Such as `http://127.0.0.1:41233`. */
  readonly url: string
  readonly port: number
  readonly requests: RequestLog
  /**
   * Chooses the script of a session by the id the agent sends, over what its prompts say. It is played from its first
   * step for each prompt. Subagents follow their own prompts instead. Throws a StepError for unusable steps.
   */
  script(sessionId: string, steps: Step[]): void
  /**
   * Resolves with the first request that matches, of those in the log already or else of those to come. Rejects when
   * the signal is aborted or the endpoint closes first.
   */
  nextRequest(match: (request: RecordedRequest) => boolean, signal?: AbortSignal): Promise<RecordedRequest>
  /** Cuts every connection and ends all work; resolves when nothing is left. May be called any number of times. */
  close(): Promise<void>
}

export interface DemoModelOptions {
  /** Default `127.0.0.1`. There is no authentication: keep it on the loopback. */
  host?: string
  /** Default 0: any free port. */
  port?: number
}

export async function startDemoModel(options: DemoModelOptions = {}): Promise<DemoModel> {
  const { host = '127.0.0.1', port = 0 } = options
  const scripts = new ScriptBook()
  const requests = new RequestLog()
  const closing = new AbortController()
  const work = new Set<Promise<void>>()
  const server = createServer((req, res) => {
    const done = answer(req, res, closing.signal, scripts, requests).finally(() => work.delete(done))
    work.add(done)
  })
  // Longer than an agent is likely to think between two requests: a connection closed under it costs it a retry.
  server.keepAliveTimeout = 120_000
  await listen(server, host, port)
  const address = server.address() as AddressInfo
  const end = async () => {
    closing.abort(new Error('the demo model is closed'))
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await Promise.all([closed, ...work])
  }
  let ended: Promise<void> | undefined
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    port: address.port,
    requests,
    script: (sessionId, steps) => void scripts.set(sessionId, steps),
    nextRequest: (match, signal) =>
      requests.next(match, signal ? AbortSignal.any([signal, closing.signal]) : closing.signal),
    close: () => (ended ??= end()),
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Never rejects: whatever happens is an answer, or a connection that is gone. */
async function answer(
  req: IncomingMessage,
  res: ServerResponse,
  closing: AbortSignal,
  scripts: ScriptBook,
  requests: RequestLog,
): Promise<void> {
  const gone = new AbortController()
  const leave = () => gone.abort(closing.reason)
  res.once('close', leave)
  closing.addEventListener('abort', leave, { once: true })
  res.setHeader('request-id', newId('req'))
  try {
    const url = new URL(req.url ?? '/', 'http://demo')
    await route({ req, res, url, signal: gone.signal, scripts, requests })
  } catch (error) {
    if (gone.signal.aborted) res.destroy()
    else sendError(res, error instanceof HttpError ? error : new HttpError(500, `${error}`))
  } finally {
    closing.removeEventListener('abort', leave)
  }
}

async function route(exchange: Exchange): Promise<void> {
  const { req, res, url, scripts, requests } = exchange
  if (url.pathname.startsWith('/_demo/')) return answerControl(req, res, url, scripts, requests)
  if (req.method === 'POST' && url.pathname === '/v1/messages') return answerMessages(exchange)
  const record = requests.add(emptyRecord(exchange))
  res.once('finish', () => record({ status: res.statusCode, outcome: 'answered' }))
  if (req.method === 'POST' && url.pathname === '/v1/messages/count_tokens') return answerCount(exchange)
  const read = req.method === 'GET' || req.method === 'HEAD'
  if (read && url.pathname === '/v1/models') return sendJson(res, 200, { data: MODELS, has_more: false, ...ENDS })
  if (read && url.pathname.startsWith('/v1/models/')) return sendJson(res, 200, model(url.pathname.slice(11)))
  // Connectivity probes.
  if (read && (url.pathname === '/' || url.pathname === '/api/hello')) return sendJson(res, 200, { message: 'hello' })
  throw new HttpError(404, `There is no ${req.method} ${url.pathname} here`)
}

const model = (id: string) => ({ type: 'model', id, display_name: `Demo of ${id}`, created_at: '2026-01-01T00:00:00Z' })

const MODELS = ['claude-opus-5-5', 'claude-sonnet-5-5', 'claude-haiku-5-5'].map(model)
const ENDS = { first_id: MODELS[0]?.id, last_id: MODELS.at(-1)?.id }
