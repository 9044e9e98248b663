import { ApiError } from '@troupe/protocol/error'
import type { ThreadRow } from '../store/threads.ts'
import { changeSession } from './change-session.ts'
import type { SessionContext } from './context.ts'
import { newEvent } from './new-event.ts'
import { requireThread } from './threads.ts'

/**
 * Archives a subagent's thread: it keeps its history and is terminated. Once more changes nothing. Throws
 * `thread_running`, and `unsupported_feature` for the primary thread.
 */
export async function archiveThread(context: SessionContext, sessionId: string, text: string): Promise<ThreadRow> {
  let id = text
  await changeSession(context, sessionId, async (_state, at) => {
    const { thread } = await requireThread(context, sessionId, text)
    if (!thread)
      throw new ApiError(
        'unsupported_feature',
        `The primary thread lives as long as its session; archive the session ${sessionId} instead.`,
      )
    id = thread.id
    if (thread.archivedAt !== null) return null
    if (thread.status === 'running')
      throw new ApiError(
        'thread_running',
        `Thread ${thread.id} is running; stop it with user.interrupt and its session_thread_id first.`,
      )
    const body = { agent_name: thread.agentName, stop_reason: thread.stopReason, stop_details: null, summary: null }
    const event = { ...newEvent('session.thread_status_terminated', thread.turnId, at, body), threadId: thread.id }
    // Empty, but a decision all the same: two archives at once are one.
    return {
      session: {},
      threads: [{ id: thread.id, patch: { status: 'terminated', archivedAt: at } }],
      events: [event],
    }
  })
  return (await context.store.readThread(sessionId, id))!
}
