import { idToUuid } from '@troupe/protocol/ids'
import type { OriginStatus } from '@troupe/protocol/origin'
import type { MessageRow } from '../store/events.ts'
import type { SessionRow } from '../store/session-row.ts'

/** Times as the origin API's clients parse them: with an offset, not `Z`. */
export const originTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '+00:00')
const originTimeOr = (ms: number | null): string | null => (ms === null ? null : originTime(ms))

/** The origin API's word for where a session stands. */
export function originStatus(session: SessionRow): OriginStatus {
  if (session.status === 'running' || session.status === 'rescheduling')
    return session.currentTurnId === null && session.lastTurnStatus === 'queued' ? 'pending' : 'running'
  switch (session.lastTurnStatus) {
    case 'completed':
      return 'completed'
    case 'failed':
      return 'error'
    case 'cancelled':
      return 'cancelled'
    case 'waiting':
      return 'running'
    default:
      return 'pending'
  }
}

export function originError(session: SessionRow): string | null {
  const status = originStatus(session)
  if (status === 'cancelled') return 'Session was cancelled'
  return status === 'error' ? (session.lastError?.message ?? 'Unknown error') : null
}

export function originSession(session: SessionRow) {
  const uuid = idToUuid(session.id)
  return {
    session_id: uuid,
    status: originStatus(session),
    prompt: session.prompt,
    created_at: originTime(session.createdAt),
    start_time: originTimeOr(session.startedAt),
    end_time: originTimeOr(session.endedAt),
    error: originError(session),
    result: session.originResult,
    message_count: session.messageCount,
    claude_session_id: session.messageCount > 0 ? uuid : null,
  }
}

type Json = Record<string, unknown>

/** A message as the Python SDK's dataclasses print it, with the blocks' `type` added. */
export function originMessage(row: MessageRow): { type: string; content: unknown; timestamp: string } {
  const message = JSON.parse(row.body) as Json & { type: string }
  const timestamp = originTime(row.createdAt)
  switch (message.type) {
    case 'assistant': {
      const inner = message.message as Json
      return {
        type: 'AssistantMessage',
        content: {
          content: blocks(inner.content),
          model: inner.model,
          parent_tool_use_id: message.parent_tool_use_id ?? null,
        },
        timestamp,
      }
    }
    case 'user': {
      const inner = message.message as Json
      return {
        type: 'UserMessage',
        content: { content: blocks(inner.content), parent_tool_use_id: message.parent_tool_use_id ?? null },
        timestamp,
      }
    }
    case 'result':
      return {
        type: 'ResultMessage',
        content: {
          subtype: message.subtype,
          duration_ms: message.duration_ms,
          duration_api_ms: message.duration_api_ms,
          is_error: message.is_error,
          num_turns: message.num_turns,
          session_id: message.session_id,
          total_cost_usd: message.total_cost_usd ?? null,
          usage: message.usage ?? null,
          result: message.result ?? null,
        },
        timestamp,
      }
    default:
      return {
        type: 'SystemMessage',
        content: { subtype: message.subtype ?? message.type, data: message },
        timestamp,
      }
  }
}

/** The fields the dataclasses have, block by block. */
function blocks(content: unknown): unknown {
  if (!Array.isArray(content)) return content
  return content.map((block: Json) => {
    switch (block.type) {
      case 'text':
        return { type: 'text', text: block.text }
      case 'thinking':
        return { type: 'thinking', thinking: block.thinking, signature: block.signature }
      case 'tool_use':
        return { type: 'tool_use', id: block.id, name: block.name, input: block.input }
      case 'tool_result':
        return {
          type: 'tool_result',
          tool_use_id: block.tool_use_id,
          content: block.content ?? null,
          is_error: block.is_error ?? null,
        }
      default:
        return block
    }
  })
}
