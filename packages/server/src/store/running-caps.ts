import type { Statement } from 'better-sqlite3'

/** Whom a policy bounds is found by an index, and a changed policy changes the line. */
export const RUNNING_CAPS_MIGRATION = `
  create index api_keys_capped on api_keys (id) where max_running is not null;
  create index workspaces_capped on workspaces (id) where max_running is not null;
  create index sessions_held_principal on sessions (principal) where holder is not null;
  create trigger api_keys_cap after update of policy on api_keys when old.max_running is not new.max_running begin
    update queue_totals set changes = changes + 1;
  end;
  create trigger workspaces_cap after update of policy on workspaces when old.max_running is not new.max_running begin
    update queue_totals set changes = changes + 1;
  end;
`

type Statements = (text: string) => Statement

/** Keys and workspaces of whose sessions as many are held as their policy lets (`max_running`), or more. */
export interface RunningCaps {
  keys: string[]
  workspaces: string[]
}

const HELD = (column: string) =>
  `select ${column} as id, count(*) as n from sessions where holder is not null group by ${column}`

const ids = (statement: Statements, table: string, column: string): string[] => {
  if (!statement(`select 1 from ${table} where max_running is not null limit 1`).get()) return []
  const rows = statement(
    `select owner.id as id from (${HELD(column)}) held join ${table} owner on owner.id = held.id
     where owner.max_running <= held.n`,
  ).all() as { id: string }[]
  return rows.map(({ id }) => id)
}

/** Who is at its cap now. Two look-ups where nobody has one; else the cost grows with what runs, not with what waits. */
export const cappedNow = (statement: Statements): RunningCaps => ({
  keys: ids(statement, 'api_keys', 'principal'),
  workspaces: ids(statement, 'workspaces', 'workspace_id'),
})

/** Whether any key or workspace has a cap. */
export const hasCaps = (statement: Statements): boolean =>
  statement(
    `select exists (select 1 from api_keys where max_running is not null)
       or exists (select 1 from workspaces where max_running is not null)`,
  )
    .pluck()
    .get() === 1

/** Whether a session of that key and workspace would be one too many. */
export const isOver = (caps: RunningCaps, session: { principal: string; workspaceId: string }): boolean =>
  caps.keys.includes(session.principal) || caps.workspaces.includes(session.workspaceId)

/**
 * Those of `queue_lanes` that are nobody's who is at its cap; all sessions of a lane are of one key, and a key is of one
 * workspace. Looks at the first of each lane that comes before the one that is taken.
 */
export const LANE_IS_FREE = `
  not exists (
    select 1 from (
      select s.principal, s.workspace_id from sessions s
      where s.queue_key = queue_lanes.queue_key and s.priority = queue_lanes.priority
        and s.queued_at is not null and s.holder is null limit 1)
    where principal in (select value from json_each(:keys)) or workspace_id in (select value from json_each(:workspaces)))`

/**
 * Marks what the policies keep back, in `line`, a table of who waits that says by `cap` what is kept back already: those
 * of a key beyond its cap, then of what is left those of a workspace beyond its own, each in the order of their turn.
 */
export const KEPT_BACK = (line: string) => `
  select l.*, case
      when kept is not null then kept
      when w.max_running < coalesce(h.n, 0) + row_number() over (
        partition by workspace_id, kept is not null order by priority desc, level, queued_at, l.id) then 'policy'
    end as capped from (
    select l.*, case
        when cap is not null then cap
        when k.max_running < coalesce(h.n, 0) + row_number() over (
          partition by principal, cap is not null order by priority desc, level, queued_at, l.id) then 'policy'
      end as kept from (${line}) l
    left join api_keys k on k.id = l.principal
    left join (${HELD('principal')}) h on h.id = l.principal) l
  left join workspaces w on w.id = l.workspace_id
  left join (${HELD('workspace_id')}) h on h.id = l.workspace_id`
