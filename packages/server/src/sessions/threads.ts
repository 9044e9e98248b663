import { ApiError } from '@troupe/protocol/error'
import { idToUuid, parseId, uuidToId } from '@troupe/protocol/ids'
import type { Thread } from '@troupe/protocol/thread'
import { iso, isoOr } from '../log/wire.ts'
import { NO_USAGE, type UsageTotals } from '../store/usage.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'
import type { ThreadRow } from '../store/threads.ts'
import { requireSession } from './change-session.ts'
import type { SessionContext } from './context.ts'
import { addUsage } from './usage-totals.ts'

/** The thread of the session's own agent: the session under another name. Its events have no `session_thread_id`. */
export const primaryThreadId = (sessionId: string): string => uuidToId('sthr', idToUuid(sessionId))

/** A session and one of its threads; null is the primary one. Throws `session_not_found` and `thread_not_found`. */
export async function requireThread(
  context: SessionContext,
  sessionId: string,
  text: string,
): Promise<{ session: SessionRow; thread: ThreadRow | null }> {
  const session = await requireSession(context, sessionId)
  const id = parseId('sthr', text)
  if (id === primaryThreadId(sessionId)) return { session, thread: null }
  const thread = id && (await context.store.readThread(sessionId, id))
  if (!thread) throw new ApiError('thread_not_found', `Session ${sessionId} has no thread ${text}.`)
  return { session, thread }
}

/** A subagent's thread as `/v1` shows it. */
export function threadToWire(session: SessionRow, thread: ThreadRow, now: number): Thread {
  const active = (thread.activeMs + (thread.runningSince === null ? 0 : Math.max(0, now - thread.runningSince))) / 1000
  return {
    type: 'session_thread',
    id: thread.id,
    session_id: thread.sessionId,
    parent_thread_id: thread.parentId ?? primaryThreadId(thread.sessionId),
    agent: {
      type: 'inline',
      name: thread.agentName,
      description: null,
      model: thread.model === null ? session.agent.model : { id: thread.model },
      system: null,
      tools: [],
      mcp_servers: [],
      skills: [],
      execution_identity: { type: 'service_account' },
    },
    status: thread.status,
    stats: {
      active_seconds: active,
      duration_seconds: ((thread.archivedAt ?? now) - thread.createdAt) / 1000,
      startup_seconds: 0,
    },
    usage: thread.usage && usageOf(thread.usage, active),
    workflow_run_id: null,
    created_at: iso(thread.createdAt),
    updated_at: iso(thread.updatedAt),
    archived_at: isoOr(thread.archivedAt),
    description: thread.description,
    stop_reason: thread.stopReason,
    summary: thread.summary,
    turn_id: thread.turnId,
    tool_use_id: thread.toolUseId,
    background: thread.background,
  }
}

/** What a session's subagents used together. */
export async function subagentUsage(store: Store, sessionId: string): Promise<UsageTotals> {
  let sum = NO_USAGE
  let after: { at: number; id: string } | null = null
  for (;;) {
    const { rows, more }: { rows: ThreadRow[]; more: boolean } = await store.listThreads(
      sessionId,
      undefined,
      'asc',
      1_000,
      after,
    )
    for (const { usage } of rows) sum = addUsage(sum, usage)
    const last = rows.at(-1)
    if (!more || !last) return sum
    after = { at: last.createdAt, id: last.id }
  }
}

/** The primary thread; what `subagents` used of the session's sum is not its own. */
export function primaryToWire(session: SessionRow, subagents: UsageTotals, now: number): Thread {
  const active =
    (session.activeMs + (session.currentTurnId && session.startedAt ? Math.max(0, now - session.startedAt) : 0)) / 1000
  const own = (field: keyof UsageTotals) => Math.max(0, session.usage[field] - subagents[field])
  const usage: UsageTotals = {
    ...NO_USAGE,
    inputTokens: own('inputTokens'),
    outputTokens: own('outputTokens'),
    cacheReadTokens: own('cacheReadTokens'),
    cacheCreationTokens: own('cacheCreationTokens'),
    cacheCreation1hTokens: own('cacheCreation1hTokens'),
  }
  return {
    type: 'session_thread',
    id: primaryThreadId(session.id),
    session_id: session.id,
    parent_thread_id: null,
    agent: session.agent,
    status: session.status,
    stats: {
      active_seconds: active,
      duration_seconds: ((session.archivedAt ?? now) - session.createdAt) / 1000,
      startup_seconds: 0,
    },
    usage: session.endedAt === null ? null : usageOf(usage, active),
    workflow_run_id: null,
    created_at: iso(session.createdAt),
    updated_at: iso(session.updatedAt),
    archived_at: isoOr(session.archivedAt),
    description: null,
    stop_reason: session.status === 'idle' || session.status === 'terminated' ? session.stopReason : null,
    summary: null,
    turn_id: session.currentTurnId,
    tool_use_id: null,
    background: false,
  }
}

function usageOf(usage: UsageTotals, activeSeconds: number): NonNullable<Thread['usage']> {
  return {
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    cache_creation_input_tokens: usage.cacheCreationTokens,
    cache_creation: {
      ephemeral_1h_input_tokens: usage.cacheCreation1hTokens,
      ephemeral_5m_input_tokens: usage.cacheCreationTokens - usage.cacheCreation1hTokens,
    },
    list_cost: null,
    active_seconds: activeSeconds,
  }
}
