import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { chooseStep } from './choose-step.ts'
import { callerOf, readConversation, type Conversation } from './conversation.ts'
import { HttpError, readJson, sendJson } from './http.ts'
import { parseMessagesRequest, RequestError, textOf, type MessagesRequest } from './messages-request.ts'
import { replyOf } from './reply.ts'
import type { RecordedRequest, RequestLog } from './request-log.ts'
import type { ScriptBook } from './script-book.ts'
import { answerAside } from './side-requests.ts'
import type { Failure, Step } from './step.ts'
import { inputTokens } from './usage.ts'
import { forever, streamReply } from './wire.ts'

/** One request and what may be done with it. */
export interface Exchange {
  req: IncomingMessage
  res: ServerResponse
  url: URL
  /** Aborted when the client has left or the endpoint closes. */
  signal: AbortSignal
  scripts: ScriptBook
  requests: RequestLog
}

/** `POST /v1/messages`: plays one step. Rejects with an HttpError to answer with an error. */
export async function answerMessages(exchange: Exchange): Promise<void> {
  const { res, signal, scripts } = exchange
  const { body, request } = await readMessages(exchange)
  const conversation = readConversation(request, callerOf(exchange.req.headers, request.metadataUserId))
  const record = recordMessages(exchange, request, conversation)
  const step = answerAside(request) ?? chooseStep(conversation, scripts.get(conversation.sessionId))
  try {
    if (step.delay_ms) await pause(step.delay_ms, undefined, { signal })
    if (step.fail && scripts.fails(step.fail, conversation)) throw failureOf(step.fail)
    if (step.hang === true || (step.hang && !request.stream)) return await forever(signal)
    const reply = replyOf(step, request, body)
    // A stream says its output only at the end; one that is cut has reported a single token.
    record({ status: 200, usage: { ...reply.usage, output_tokens: 1 } })
    if (request.stream) await streamReply(res, reply, step, signal)
    else await sendSlowly(exchange, reply, step)
    record({ usage: reply.usage, outcome: 'answered' })
  } catch (error) {
    if (error instanceof HttpError) record({ status: error.status, outcome: 'answered' })
    else record({ outcome: 'disconnected' })
    throw error
  }
}

/** Without streaming a pace only delays the whole answer. */
async function sendSlowly({ res, signal }: Exchange, reply: object, step: Step): Promise<void> {
  if (step.stream) await pause(step.stream.chunk_ms, undefined, { signal })
  sendJson(res, 200, reply)
}

/** `POST /v1/messages/count_tokens`. */
export async function answerCount(exchange: Exchange): Promise<void> {
  sendJson(exchange.res, 200, { input_tokens: inputTokens(await readJson(exchange.req)) })
}

async function readMessages(exchange: Exchange): Promise<{ body: unknown; request: MessagesRequest }> {
  try {
    const body = await readJson(exchange.req)
    return { body, request: parseMessagesRequest(body) }
  } catch (error) {
    const refusal = error instanceof RequestError ? new HttpError(400, error.message) : error
    const status = refusal instanceof HttpError ? refusal.status : null
    exchange.requests.add({ ...emptyRecord(exchange), status, outcome: status ? 'answered' : 'disconnected' })
    throw refusal
  }
}

function failureOf({ status, retry_after }: Failure): HttpError {
  const headers: Record<string, string> = retry_after === undefined ? {} : { 'retry-after': `${retry_after}` }
  return new HttpError(status, `The demo model was asked to fail with ${status}`, headers)
}

function recordMessages(exchange: Exchange, request: MessagesRequest, conversation: Conversation) {
  const entry: RecordedRequest = {
    ...emptyRecord(exchange),
    sessionId: conversation.sessionId,
    agentId: conversation.agentId,
    model: request.model,
    stream: request.stream,
    lastUserText: conversation.prompt,
    step: conversation.step,
    messageCount: request.messages.length,
    toolNames: request.tools.map((tool) => tool.name),
    systemText: request.systemText,
    systemMessages: request.messages.flatMap(({ role, content }) => (role === 'system' ? [textOf(content)] : [])),
  }
  return exchange.requests.add(entry)
}

/** What is known of any request, before its body is read. */
export function emptyRecord({ req, url }: Pick<Exchange, 'req' | 'url'>): RecordedRequest {
  return {
    at: Date.now(),
    method: req.method ?? '',
    path: url.pathname,
    sessionId: callerOf(req.headers, null).sessionId,
    agentId: null,
    model: null,
    stream: false,
    lastUserText: null,
    step: 0,
    messageCount: 0,
    toolNames: [],
    systemText: '',
    systemMessages: [],
    status: null,
    usage: null,
    outcome: 'pending',
  }
}
