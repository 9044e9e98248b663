import type { ApprovalsTable, GrantsTable } from './approvals.ts'

/** The tables, as Kysely sees them. Ids and JSON are text, times are integer milliseconds, so both dialects agree. */
export interface Tables {
  sessions: SessionsTable
  turns: TurnsTable
  events: EventsTable
  messages: MessagesTable
  approvals: ApprovalsTable
  grants: GrantsTable
  threads: ThreadsTable
  transcript: TranscriptTable
  tombstones: { id: string; deleted_at: number; workspace_id: string }
  idempotency: IdempotencyTable
}

export interface SessionsTable {
  id: string
  status: string
  version: number
  last_seq: number
  epoch: number
  holder: string | null
  lease_until: number | null
  queued_at: number | null
  priority: number
  principal: string
  workspace_id: string
  concurrency_key: string | null
  max_queue_ms: number | null
  current_turn_id: string | null
  last_turn_status: string | null
  turn_count: number
  message_count: number
  agent: string
  agent_id: string
  /** Generated from `options`: read, never written. */
  deployment_id?: string | null
  options: string
  cwd: string
  title: string | null
  metadata: string
  external_id: string | null
  prompt: string
  stop_reason: string | null
  stop_reason_type: string | null
  last_error: string | null
  result: string | null
  origin_result: string | null
  usage: string
  sdk_totals: string
  cache_prefix: string | null
  context: string | null
  active_ms: number
  started_at: number | null
  ended_at: number | null
  created_at: number
  updated_at: number
  archived_at: number | null
}

export interface TurnsTable {
  id: string
  session_id: string
  number: number
  status: string
  input_event_ids: string
  output: string | null
  stop_reason: string | null
  error: string | null
  usage: string | null
  cache: string | null
  model_requests: number | null
  created_at: number
  started_at: number | null
  ended_at: number | null
  position: number
  active_ms: number
  running_since: number | null
  resume: string | null
  recoveries: string
  files: string | null
  traceparent: string | null
}

export interface ThreadsTable {
  id: string
  session_id: string
  parent_id: string | null
  turn_id: string | null
  tool_use_id: string | null
  task_id: string
  agent_name: string
  description: string
  model: string | null
  background: number
  status: string
  stop_reason: string | null
  summary: string | null
  usage: string | null
  active_ms: number
  running_since: number | null
  created_at: number
  updated_at: number
  archived_at: number | null
}

export interface EventsTable {
  session_id: string
  seq: number
  id: string
  /** The `seq` of the first event with this id, where this one repeats it; else null. */
  repeats: number | null
  type: string
  turn_id: string | null
  thread_id: string | null
  created_at: number
  processed_at: number | null
  body: string
}

export interface MessagesTable {
  session_id: string
  n: number
  turn_id: string | null
  created_at: number
  body: string
}

export interface TranscriptTable {
  session_id: string
  subpath: string
  n: number
  uuid: string | null
  body: string
}

export interface IdempotencyTable {
  principal: string
  key: string
  fingerprint: string
  state: string
  effect: string | null
  status: number | null
  body: string | null
  created_at: number
}
