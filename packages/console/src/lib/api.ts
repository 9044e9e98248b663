import { createClient } from '@troupe/client/client'
import { TroupeError } from '@troupe/client/errors'
import type { Page } from '@troupe/client/requests'
import { createTransport } from '@troupe/client/transport'
import type { ContentBlock } from '@troupe/protocol/event'
import type { UsageReport } from '@troupe/protocol/usage-report'
import { rememberingFetch } from './sent.ts'

const options = { baseUrl: location.origin, fetch: rememberingFetch }
export const client = createClient(options)
export const { json } = createTransport(options)

export interface Approval {
  id: string
  kind: 'tool_confirmation' | 'question' | 'custom_tool_result'
  session_id: string
  session_title: string | null
  turn_id: string
  session_thread_id: string | null
  tool_name: string
  input: unknown
  reason: string
  remember_rule: string | null
  held: boolean
  status: 'pending' | 'allowed' | 'denied' | 'expired' | 'cancelled'
  created_at: string
  expires_at: string | null
  decided_at: string | null
  actor: string | null
  decision: {
    deny_message: string | null
    updated_input: unknown
    remember: 'session' | 'always' | null
  } | null
}

export interface Decision {
  result: 'allow' | 'deny'
  updated_input?: unknown
  deny_message?: string
  remember?: 'session' | 'always'
  actor?: string
  answers?: Record<string, string | string[]>
  content?: string
}

export interface PendingInput {
  event_id: string
  turn_id: string
  content: ContentBlock[]
  delivery: string
  position: number
  created_at: string
}

/** A server that has no such route, or says that it has not the feature yet: what needs it is hidden. */
export const isAbsent = (error: unknown): boolean =>
  error instanceof TroupeError && (error.code === 'route_not_found' || error.code === 'unsupported_feature')

/** A request that answers null where the server has no such route; once it said so it is not asked again. */
function ifPresent<Args extends unknown[], T>(
  ask: (...args: Args) => Promise<T>,
): (...args: Args) => Promise<T | null> {
  let absent = false
  return async (...args) => {
    if (absent) return null
    try {
      return await ask(...args)
    } catch (error) {
      if (!isAbsent(error)) throw error
      absent = true
      return null
    }
  }
}

const at = (...parts: string[]) => `/v1/${parts.map(encodeURIComponent).join('/')}`

export const pendingApprovals = ifPresent((sessionId: string | null, signal?: AbortSignal) =>
  json<Page<Approval>>('GET', at('approvals'), {
    query: { status: 'pending', limit: 200, session_id: sessionId },
    signal,
  }),
)
export const allApprovals = (limit: number, signal: AbortSignal) =>
  json<Page<Approval>>('GET', at('approvals'), { query: { status: 'all', limit }, signal })
export const retrieveApproval = (id: string) => json<Approval>('GET', at('approvals', id))
export const decide = (id: string, decision: Decision) =>
  json<Approval>('POST', at('approvals', id), { body: decision })

export const pendingInputs = ifPresent((sessionId: string, signal?: AbortSignal) =>
  json<{ data: PendingInput[] }>('GET', at('sessions', sessionId, 'inputs'), { signal }),
)
export const editInput = (sessionId: string, eventId: string, body: { content?: string; position?: number }) =>
  json<PendingInput>('POST', at('sessions', sessionId, 'inputs', eventId), { body })
export const cancelInput = (sessionId: string, eventId: string) =>
  json<unknown>('DELETE', at('sessions', sessionId, 'inputs', eventId))

/** A cookie of this browser for a key. Throws what the server says of the key. */
export const login = (apiKey: string) => json<unknown>('POST', at('login'), { body: { api_key: apiKey } })
export const logout = () => json<unknown>('POST', at('logout'), { body: {} })
/** Whether the server asks for a key, and has been given none that is good. */
export const needsLogin = (error: unknown): boolean => error instanceof TroupeError && error.status === 401

/** Fields of a queue or usage report; read with care, since a later server may say more or less. */
export type Report = Record<string, unknown>
export const queueReport = ifPresent((signal?: AbortSignal) => json<Report>('GET', at('queue'), { signal }))
export const usageReport = ifPresent(
  (groupBy: string, order: 'asc' | 'desc', limit: number, page: string | null, signal?: AbortSignal) =>
    json<UsageReport>('GET', at('usage'), { query: { group_by: groupBy, order, limit, page }, signal }),
)
export const compact = (sessionId: string) => json<unknown>('POST', at('sessions', sessionId, 'compact'), { body: {} })
