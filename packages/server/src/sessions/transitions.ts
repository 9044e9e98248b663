import type { SessionStatus } from '@troupe/protocol/session'

/** What can happen to a session as a whole. */
export type SessionAction = 'send' | 'reschedule' | 'resume_work' | 'end_work' | 'archive' | 'delete'

/** Which status follows. `null`: cannot happen in this status; a caller who asks for it is refused. */
export const TRANSITIONS: Record<SessionStatus, Record<SessionAction, SessionStatus | null>> = {
  idle: {
    send: 'running',
    reschedule: null,
    resume_work: null,
    end_work: null,
    archive: 'terminated',
    delete: 'terminated',
  },
  running: {
    send: 'running',
    reschedule: 'rescheduling',
    resume_work: 'running',
    end_work: 'idle',
    archive: null,
    delete: null,
  },
  rescheduling: {
    send: 'rescheduling',
    reschedule: 'rescheduling',
    resume_work: 'running',
    end_work: 'idle',
    archive: null,
    delete: null,
  },
  terminated: {
    send: null,
    reschedule: null,
    resume_work: null,
    end_work: null,
    archive: 'terminated',
    delete: 'terminated',
  },
}
