import type { IncomingMessage, ServerResponse } from 'node:http'
import { HttpError, readJson, sendJson } from './http.ts'
import type { RecordedRequest, RequestLog } from './request-log.ts'
import type { ScriptBook } from './script-book.ts'
import { StepError } from './step.ts'

/**
 * What tests in other languages use:
 *
 * - `PUT /_demo/scripts/{sessionId}` with a JSON list of steps, `DELETE` to forget it
 * - `GET /_demo/requests?session_id=` → `{data: […]}`, `DELETE` to empty the log
 */
export async function answerControl(
  req: IncomingMessage,
  res: ServerResponse,
  url: URL,
  scripts: ScriptBook,
  requests: RequestLog,
): Promise<void> {
  const sessionId = /^\/_demo\/scripts\/([^/]+)$/.exec(url.pathname)?.[1]
  const target = sessionId === undefined ? url.pathname : 'script'
  switch (`${req.method} ${target}`) {
    case 'PUT script':
      return sendJson(res, 200, { session_id: sessionId, steps: putScript(scripts, sessionId, await readJson(req)) })
    case 'DELETE script':
      return sendJson(res, 200, { session_id: sessionId, deleted: scripts.delete(decode(sessionId)) })
    case 'GET /_demo/requests':
      return sendJson(res, 200, { data: requests.list(url.searchParams.get('session_id') ?? undefined).map(onTheWire) })
    case 'DELETE /_demo/requests':
      requests.clear()
      return sendJson(res, 200, { data: [] })
    default:
      throw new HttpError(404, `There is no ${req.method} ${url.pathname} here`)
  }
}

function putScript(scripts: ScriptBook, sessionId: string | undefined, body: unknown): number {
  try {
    return scripts.set(decode(sessionId), body).length
  } catch (error) {
    throw error instanceof StepError ? new HttpError(400, error.message) : error
  }
}

function decode(segment = ''): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new HttpError(400, `The session id ${segment} is not properly encoded`)
  }
}

function onTheWire(request: RecordedRequest): Record<string, unknown> {
  return {
    at: request.at,
    method: request.method,
    path: request.path,
    session_id: request.sessionId,
    agent_id: request.agentId,
    model: request.model,
    stream: request.stream,
    last_user_text: request.lastUserText,
    step: request.step,
    message_count: request.messageCount,
    tool_names: request.toolNames,
    system_text: request.systemText,
    system_messages: request.systemMessages,
    status: request.status,
    usage: request.usage,
    outcome: request.outcome,
  }
}
