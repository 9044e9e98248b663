import type { EventsTable, SessionsTable, TurnsTable } from './schema.ts'
import type { EventRow } from './events.ts'
import { NO_USAGE, type UsageTotals } from './usage.ts'
import type { SessionPatch, SessionRow } from './session-row.ts'
import type { TurnPatch, TurnRow } from './turns.ts'

const parse = <T>(text: string): T => JSON.parse(text) as T
const parseOr = <T>(text: string | null): T | null => (text === null ? null : (JSON.parse(text) as T))
const json = (value: unknown): string => JSON.stringify(value)
const jsonOr = (value: unknown): string | null => (value === null || value === undefined ? null : JSON.stringify(value))

/** Rows of an earlier version lack the newer figures. */
const usageFrom = (text: string): UsageTotals => ({ ...NO_USAGE, ...parse<Partial<UsageTotals>>(text) })

export function sessionFromRow(row: SessionsTable): SessionRow {
  return {
    id: row.id,
    status: row.status as SessionRow['status'],
    version: row.version,
    lastSeq: row.last_seq,
    epoch: row.epoch,
    holder: row.holder,
    leaseUntil: row.lease_until,
    queuedAt: row.queued_at,
    priority: row.priority,
    principal: row.principal,
    workspaceId: row.workspace_id,
    concurrencyKey: row.concurrency_key,
    maxQueueMs: row.max_queue_ms,
    currentTurnId: row.current_turn_id,
    lastTurnStatus: row.last_turn_status as SessionRow['lastTurnStatus'],
    turnCount: row.turn_count,
    messageCount: row.message_count,
    agent: parse(row.agent),
    options: parse(row.options),
    cwd: row.cwd,
    title: row.title,
    metadata: parse(row.metadata),
    externalId: row.external_id,
    prompt: row.prompt,
    stopReason: parseOr(row.stop_reason),
    lastError: parseOr(row.last_error),
    result: parseOr(row.result),
    originResult: parseOr(row.origin_result),
    usage: usageFrom(row.usage),
    sdkTotals: parse(row.sdk_totals),
    cachePrefix: parseOr(row.cache_prefix),
    context: parseOr(row.context),
    activeMs: row.active_ms,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    archivedAt: row.archived_at,
  }
}

export function sessionToRow(session: SessionRow): SessionsTable {
  return {
    ...(patchToColumns(session) as Required<ReturnType<typeof patchToColumns>>),
    id: session.id,
    version: session.version,
    last_seq: session.lastSeq,
    epoch: session.epoch,
    message_count: session.messageCount,
    created_at: session.createdAt,
  }
}

type PatchColumns = Partial<
  Omit<SessionsTable, 'id' | 'version' | 'last_seq' | 'epoch' | 'message_count' | 'created_at'>
>

/** How each field a change may set is written; complete by type. */
const COLUMNS: { [K in keyof Required<SessionPatch>]: (value: Required<SessionPatch>[K]) => PatchColumns } = {
  status: (status) => ({ status }),
  holder: (holder) => ({ holder }),
  leaseUntil: (lease_until) => ({ lease_until }),
  queuedAt: (queued_at) => ({ queued_at }),
  priority: (priority) => ({ priority }),
  principal: (principal) => ({ principal }),
  workspaceId: (workspace_id) => ({ workspace_id }),
  concurrencyKey: (concurrency_key) => ({ concurrency_key }),
  maxQueueMs: (max_queue_ms) => ({ max_queue_ms }),
  currentTurnId: (current_turn_id) => ({ current_turn_id }),
  lastTurnStatus: (last_turn_status) => ({ last_turn_status }),
  turnCount: (turn_count) => ({ turn_count }),
  agent: (agent) => ({ agent: json(agent), agent_id: agent.id }),
  options: (options) => ({ options: json(options) }),
  cwd: (cwd) => ({ cwd }),
  title: (title) => ({ title }),
  metadata: (metadata) => ({ metadata: json(metadata) }),
  externalId: (external_id) => ({ external_id }),
  prompt: (prompt) => ({ prompt }),
  stopReason: (stop) => ({ stop_reason: jsonOr(stop), stop_reason_type: stop?.type ?? null }),
  lastError: (error) => ({ last_error: jsonOr(error) }),
  result: (result) => ({ result: jsonOr(result) }),
  originResult: (result) => ({ origin_result: jsonOr(result) }),
  usage: (usage) => ({ usage: json(usage) }),
  sdkTotals: (totals) => ({ sdk_totals: json(totals) }),
  cachePrefix: (prefix) => ({ cache_prefix: jsonOr(prefix) }),
  context: (context) => ({ context: jsonOr(context) }),
  activeMs: (active_ms) => ({ active_ms }),
  startedAt: (started_at) => ({ started_at }),
  endedAt: (ended_at) => ({ ended_at }),
  updatedAt: (updated_at) => ({ updated_at }),
  archivedAt: (archived_at) => ({ archived_at }),
}

export function patchToColumns(patch: SessionPatch): PatchColumns {
  const columns: PatchColumns = {}
  for (const [field, value] of Object.entries(patch)) {
    const write = COLUMNS[field as keyof SessionPatch] as ((value: unknown) => PatchColumns) | undefined
    if (write && value !== undefined) Object.assign(columns, write(value))
  }
  return columns
}

export function turnFromRow(row: TurnsTable): TurnRow {
  return {
    id: row.id,
    sessionId: row.session_id,
    number: row.number,
    status: row.status as TurnRow['status'],
    inputEventIds: parse(row.input_event_ids),
    output: parseOr(row.output),
    stopReason: parseOr(row.stop_reason),
    error: parseOr(row.error),
    usage: row.usage === null ? null : usageFrom(row.usage),
    cache: parseOr(row.cache),
    modelRequests: row.model_requests,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    position: row.position,
    activeMs: row.active_ms,
    runningSince: row.running_since,
    resume: row.resume as TurnRow['resume'],
    recoveries: parse(row.recoveries),
    ...(row.files !== null && { files: parse<NonNullable<TurnRow['files']>>(row.files) }),
    ...(row.traceparent !== null && { traceparent: row.traceparent }),
  }
}

export function turnToRow(turn: TurnRow): TurnsTable {
  return {
    id: turn.id,
    session_id: turn.sessionId,
    number: turn.number,
    status: turn.status,
    input_event_ids: json(turn.inputEventIds),
    output: jsonOr(turn.output),
    stop_reason: jsonOr(turn.stopReason),
    error: jsonOr(turn.error),
    usage: jsonOr(turn.usage),
    cache: jsonOr(turn.cache),
    model_requests: turn.modelRequests,
    created_at: turn.createdAt,
    started_at: turn.startedAt,
    ended_at: turn.endedAt,
    position: turn.position,
    active_ms: turn.activeMs,
    running_since: turn.runningSince,
    resume: turn.resume,
    recoveries: json(turn.recoveries),
    files: jsonOr(turn.files ?? null),
    traceparent: turn.traceparent ?? null,
  }
}

export function turnPatchToColumns(patch: TurnPatch): Partial<TurnsTable> {
  const columns: Partial<TurnsTable> = {}
  if (patch.status !== undefined) columns.status = patch.status
  if (patch.inputEventIds !== undefined) columns.input_event_ids = json(patch.inputEventIds)
  if (patch.output !== undefined) columns.output = jsonOr(patch.output)
  if (patch.stopReason !== undefined) columns.stop_reason = jsonOr(patch.stopReason)
  if (patch.error !== undefined) columns.error = jsonOr(patch.error)
  if (patch.usage !== undefined) columns.usage = jsonOr(patch.usage)
  if (patch.cache !== undefined) columns.cache = jsonOr(patch.cache)
  if (patch.modelRequests !== undefined) columns.model_requests = patch.modelRequests
  if (patch.startedAt !== undefined) columns.started_at = patch.startedAt
  if (patch.endedAt !== undefined) columns.ended_at = patch.endedAt
  if (patch.position !== undefined) columns.position = patch.position
  if (patch.activeMs !== undefined) columns.active_ms = patch.activeMs
  if (patch.runningSince !== undefined) columns.running_since = patch.runningSince
  if (patch.resume !== undefined) columns.resume = patch.resume
  if (patch.files !== undefined) columns.files = json(patch.files)
  if (patch.recoveries !== undefined) columns.recoveries = json(patch.recoveries)
  return columns
}

export function eventFromRow(row: EventsTable): EventRow {
  return {
    sessionId: row.session_id,
    seq: row.seq,
    id: row.id,
    repeats: row.repeats,
    type: row.type,
    turnId: row.turn_id,
    threadId: row.thread_id,
    createdAt: row.created_at,
    processedAt: row.processed_at,
    body: row.body,
  }
}
