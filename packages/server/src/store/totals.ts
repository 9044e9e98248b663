import type { SqliteAccess } from './sqlite-access.ts'

/** What is there now, over all workspaces. */
export interface Totals {
  /** Sessions by status; archived ones are `terminated`. */
  sessions: Record<string, number>
  /** Sessions that wait for a slot, and since when the one that waits longest does, in ms. */
  queued: number
  oldestQueuedAt: number | null
  approvalsPending: number
  /** Turns at work that began earliest, and approvals that have waited longest: few, so that a person can look at them. */
  oldestTurns: OldSession[]
  oldestApprovals: OldSession[]
  /** Sessions that have waited for a slot longest. */
  firstQueued: OldSession[]
  /** Turns at work whose sessions appended nothing for longest, with what that was. */
  silentTurns: SilentTurn[]
}

export interface OldSession {
  sessionId: string
  workspaceId: string
  /** In ms. */
  since: number
}

export interface SilentTurn extends OldSession {
  /** The type of its newest event. */
  lastType: string
  /** Calls of tools among its newest two hundred events beyond results there. */
  openCalls: number
  /** Whether an approval of it is pending. */
  asked: 0 | 1
}

export interface TotalsStore {
  /** Costs the same with any number of sessions, and a little for each that runs or waits for an answer. */
  read(oldest: number): Promise<Totals>
}

/** Sessions by status are counted as they change, because counting them anew would read them all. */
export const TOTALS_MIGRATION = `
  create table session_totals (status text primary key, sessions integer not null) without rowid;
  insert into session_totals select status, count(*) from sessions group by status;
  create trigger sessions_totals_insert after insert on sessions begin
    insert into session_totals values (new.status, 1) on conflict (status) do update set sessions = sessions + 1;
  end;
  create trigger sessions_totals_update after update of status on sessions when old.status <> new.status begin
    update session_totals set sessions = sessions - 1 where status = old.status;
    insert into session_totals values (new.status, 1) on conflict (status) do update set sessions = sessions + 1;
  end;
  create trigger sessions_totals_delete after delete on sessions begin
    update session_totals set sessions = sessions - 1 where status = old.status;
  end;
`

export function sqliteTotals({ statement }: SqliteAccess): TotalsStore {
  return {
    async read(oldest) {
      const rows = statement('select status, sessions from session_totals').all() as {
        status: string
        sessions: number
      }[]
      const one = (text: string) => statement(text).get() as { n: number; at: number | null }
      const queue = one(
        'select count(*) as n, min(queued_at) as at from sessions where queued_at is not null and holder is null',
      )
      const approvals = one(`select count(*) as n, null as at from approvals where status = 'pending'`)
      return {
        sessions: Object.fromEntries(rows.map(({ status, sessions }) => [status, sessions])),
        queued: queue.n,
        oldestQueuedAt: queue.at,
        approvalsPending: approvals.n,
        oldestTurns: statement(
          `select s.id as sessionId, s.workspace_id as workspaceId, t.running_since as since from sessions s join turns t on t.id = s.current_turn_id
           where s.holder is not null and t.running_since is not null order by t.running_since limit ?`,
        ).all(oldest) as Totals['oldestTurns'],
        oldestApprovals: statement(
          `select a.session_id as sessionId, s.workspace_id as workspaceId, a.created_at as since
           from approvals a join sessions s on s.id = a.session_id where a.status = 'pending'
           order by a.created_at, a.id limit ?`,
        ).all(oldest) as Totals['oldestApprovals'],
        firstQueued: statement(
          `select id as sessionId, workspace_id as workspaceId, queued_at as since from sessions
           where queued_at is not null and holder is null order by queued_at, id limit ?`,
        ).all(oldest) as Totals['firstQueued'],
        silentTurns: statement(
          `select sessionId, workspaceId, since, lastType,
             exists (select 1 from approvals a where a.session_id = sessionId and a.status = 'pending') as asked,
             (select coalesce(sum(case when type like '%tool_use' then 1 else -1 end), 0) from events
              where session_id = sessionId and seq > lastSeq - 200 and turn_id = turnId and repeats is null and type in (
                'agent.tool_use', 'agent.mcp_tool_use', 'agent.custom_tool_use',
                'agent.tool_result', 'agent.mcp_tool_result', 'user.custom_tool_result')) as openCalls
           from (
             select s.id as sessionId, s.workspace_id as workspaceId, s.last_seq as lastSeq, s.current_turn_id as turnId,
               e.created_at as since, e.type as lastType
             from sessions s join events e on e.session_id = s.id and e.seq = s.last_seq
             where s.holder is not null and s.current_turn_id is not null order by e.created_at limit ?)`,
        ).all(oldest) as Totals['silentTurns'],
      }
    },
  }
}
