import type { EventRow } from '../store/events.ts'

/** Types of events that spans are made of. */
const TOLD =
  /^(span\.|turn\.|agent\.(mcp_|custom_)?tool_(use|result)$|agent\.permission_denied$|user\.(tool_confirmation|custom_tool_result)$|session\.(queued|approval_closed|thread_\w+)$)/
/** What of their payloads is looked at. None of it is a text that somebody wrote. */
const KEPT = [
  'name',
  'mcp_server_name',
  'model',
  'agent_name',
  'tool_use_id',
  'mcp_tool_use_id',
  'custom_tool_use_id',
  'sdk_tool_use_id',
  'model_request_start_id',
  'is_error',
  'model_usage',
  'evaluated_permission',
  'result',
  'reason',
  'stop_reason',
]

/**
 * An event without all that no span tells: texts, inputs, results. A turn may have thousands of events of a megabyte each,
 * and this is what is kept of them until its spans are made. Null: spans do not need it at all.
 */
export function slimEvent(row: EventRow): EventRow | null {
  // What is told again under its id was said before.
  if (row.repeats !== null || !TOLD.test(row.type)) return null
  const body = JSON.parse(row.body) as Record<string, unknown>
  return {
    ...row,
    body: JSON.stringify(Object.fromEntries(KEPT.flatMap((key) => (key in body ? [[key, body[key]]] : [])))),
  }
}
