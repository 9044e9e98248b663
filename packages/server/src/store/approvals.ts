import type { Approval, Decision } from '@troupe/protocol/approval'

/** A call that waits, or waited, for an answer. Its id is that of the event that tells the call. */
export interface ApprovalRow {
  id: string
  sessionId: string
  turnId: string
  threadId: string | null
  kind: Approval['kind']
  toolName: string
  input: unknown
  /** The agent's own id of the call, under which it comes again. */
  sdkToolUseId: string
  reason: string
  /** What `remember` would allow. */
  rule: string | null
  status: Approval['status']
  /** The agent process waits for the answer. */
  held: boolean
  decision: Decision | null
  actor: string | null
  /** The event that brought the verdict. */
  verdictEventId: string | null
  createdAt: number
  expiresAt: number | null
  onTimeout: 'deny' | 'stay' | 'interrupt'
  decidedAt: number | null
  /** When the verdict reached the agent: from then on the call may have run. */
  consumedAt: number | null
}

export type ApprovalPatch = Partial<
  Pick<ApprovalRow, 'status' | 'held' | 'decision' | 'actor' | 'verdictEventId' | 'decidedAt' | 'consumedAt'>
>

/** A rule that a person's answer left behind. `sessionId` null: for every session of the agent. */
export interface GrantRow {
  id: string
  sessionId: string | null
  agentId: string
  rule: string
  actor: string | null
  createdAt: number
}

export interface ApprovalFilter {
  workspaceId: string
  status: ApprovalRow['status'] | null
  sessionId: string | null
}

/** Reads of approvals and grants. They are written with the changes of their sessions. */
export interface ApprovalStore {
  read(id: string): Promise<ApprovalRow | null>
  /** The one for a call, by the agent's id of it. */
  ofCall(sessionId: string, sdkToolUseId: string): Promise<ApprovalRow | null>
  /** By (created, id). */
  list(
    filter: ApprovalFilter,
    order: 'asc' | 'desc',
    limit: number,
    after: { at: number; id: string } | null,
  ): Promise<{ rows: ApprovalRow[]; more: boolean }>
  /** Pending ones whose deadline has passed, longest overdue first. */
  overdue(at: number, limit: number): Promise<ApprovalRow[]>
  /** Rules remembered for a session and for all sessions of its agent in the workspace, oldest first, at most 10,000. */
  grants(workspaceId: string, agentId: string | null, sessionId: string | null): Promise<GrantRow[]>
  /** False when there was none. */
  deleteGrant(workspaceId: string, id: string): Promise<boolean>
}

/** Whether somebody still has to do something about it: answer it, or hand its answer to the agent. */
export const isOpen = (row: Pick<ApprovalRow, 'status' | 'consumedAt'>): boolean =>
  row.status === 'pending' || (row.consumedAt === null && row.status !== 'cancelled')

export interface ApprovalsTable {
  id: string
  session_id: string
  turn_id: string
  thread_id: string | null
  kind: string
  tool_name: string
  input: string
  sdk_tool_use_id: string
  reason: string
  rule: string | null
  status: string
  open: number
  held: number
  decision: string | null
  actor: string | null
  verdict_event_id: string | null
  created_at: number
  expires_at: number | null
  on_timeout: string
  decided_at: number | null
  consumed_at: number | null
}

export interface GrantsTable {
  id: string
  session_id: string | null
  agent_id: string
  rule: string
  actor: string | null
  created_at: number
}

export const approvalFromRow = (row: ApprovalsTable): ApprovalRow => ({
  id: row.id,
  sessionId: row.session_id,
  turnId: row.turn_id,
  threadId: row.thread_id,
  kind: row.kind as ApprovalRow['kind'],
  toolName: row.tool_name,
  input: JSON.parse(row.input),
  sdkToolUseId: row.sdk_tool_use_id,
  reason: row.reason,
  rule: row.rule,
  status: row.status as ApprovalRow['status'],
  held: row.held === 1,
  decision: row.decision === null ? null : (JSON.parse(row.decision) as Decision),
  actor: row.actor,
  verdictEventId: row.verdict_event_id,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  onTimeout: row.on_timeout as ApprovalRow['onTimeout'],
  decidedAt: row.decided_at,
  consumedAt: row.consumed_at,
})

export const approvalToRow = (row: ApprovalRow): ApprovalsTable => ({
  id: row.id,
  session_id: row.sessionId,
  turn_id: row.turnId,
  thread_id: row.threadId,
  kind: row.kind,
  tool_name: row.toolName,
  input: JSON.stringify(row.input),
  sdk_tool_use_id: row.sdkToolUseId,
  reason: row.reason,
  rule: row.rule,
  status: row.status,
  open: isOpen(row) ? 1 : 0,
  held: row.held ? 1 : 0,
  decision: row.decision === null ? null : JSON.stringify(row.decision),
  actor: row.actor,
  verdict_event_id: row.verdictEventId,
  created_at: row.createdAt,
  expires_at: row.expiresAt,
  on_timeout: row.onTimeout,
  decided_at: row.decidedAt,
  consumed_at: row.consumedAt,
})

export const grantFromRow = (row: GrantsTable): GrantRow => ({
  id: row.id,
  sessionId: row.session_id,
  agentId: row.agent_id,
  rule: row.rule,
  actor: row.actor,
  createdAt: row.created_at,
})
