import type { StopReason } from '@troupe/protocol/session'

/** What a person wants to know of a session, in eight words; each has a mark, a word and a colour. */
export type State = 'queued' | 'running' | 'waiting' | 'done' | 'failed' | 'stopped' | 'idle' | 'archived'
export const STATES: readonly State[] = [
  'waiting',
  'running',
  'queued',
  'failed',
  'done',
  'stopped',
  'idle',
  'archived',
]

interface Seen {
  status: string | null
  stop_reason: StopReason | null
  last_error: unknown
  queue?: unknown
}

const STOPPED = new Set(['interrupted', 'max_turns', 'budget_reached', 'timeout'])

export function stateOf({ status, stop_reason, last_error, queue }: Seen): State {
  if (status === 'terminated') return 'archived'
  if (status === 'running' || status === 'rescheduling') return queue ? 'queued' : 'running'
  if (stop_reason === null) return last_error ? 'failed' : 'idle'
  if (stop_reason.type === 'requires_action') return 'waiting'
  if (stop_reason.type === 'end_turn') return 'done'
  return STOPPED.has(stop_reason.type) ? 'stopped' : 'failed'
}
