/** On whose behalf something is written. */
export interface Actor {
  principal: string
  credential: string | null
  /** Why, where no request says so. */
  reason: string | null
  request: { id: string; route: string; address: string; userAgent: string | null } | null
}

export interface AuditRow extends Actor {
  id: string
  workspaceId: string
  at: number
  action: string
  outcome: 'done' | 'refused'
  resourceType: string | null
  resourceId: string | null
  details: Record<string, unknown>
  count: number
}

export interface AuditFilter {
  /** Null: of all. */
  workspaceId: string | null
  /** Names, or how they begin and then `*`. */
  actions?: string[] | undefined
  principal?: string | undefined
  resourceId?: string | undefined
  outcome?: 'done' | 'refused' | undefined
  at: { gt?: number; gte?: number; lt?: number; lte?: number }
}

/** The part of the store's contract that is about who did what. Lines are never changed, and deleted only by age. */
export interface AuditStore {
  /**
   * What is written within `run`, and in what it starts, is done by this actor. Whatever else is written is the
   * server's own doing. The line of an act is in the transaction of the act.
   */
  as<T>(actor: Actor, run: () => T): T
  /** Lines of what changed nothing. */
  note(rows: readonly Omit<AuditRow, 'id' | 'at'>[], at: number): Promise<void>
  list(
    filter: AuditFilter,
    order: 'asc' | 'desc',
    limit: number,
    after: { at: number; id: string } | null,
  ): Promise<{ rows: AuditRow[]; more: boolean }>
  /** Deletes lines from before this time, at most `limit`. How many it were. */
  forget(before: number, limit: number): Promise<number>
}
