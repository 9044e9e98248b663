/**
 * The line of waiting sessions. A lane is what waits under one key (principal and concurrency_key) at one priority;
 * triggers keep a row for each lane that has somebody in it, so that a claim looks at one row of an index however many
 * wait. `queue_totals` has one row: how many wait, and a number that grows with every change of the line.
 */
export const QUEUE_MIGRATION = `
  alter table sessions add column priority integer not null default 0;
  alter table sessions add column principal text not null default 'local';
  alter table sessions add column concurrency_key text;
  alter table sessions add column max_queue_ms integer;
  alter table sessions add column queue_key text
    generated always as (principal || char(31) || coalesce(concurrency_key, '')) virtual;

  create index sessions_line on sessions (queue_key, priority, queued_at, id)
    where queued_at is not null and holder is null;
  create index sessions_running on sessions (queue_key) where holder is not null;
  create index sessions_overdue on sessions (queued_at + max_queue_ms)
    where queued_at is not null and max_queue_ms is not null;

  create table queue_lanes (
    queue_key text not null,
    priority integer not null,
    named integer not null,
    running integer not null,
    head_at integer not null,
    primary key (queue_key, priority)
  ) without rowid;
  create index queue_lanes_next on queue_lanes (priority desc, running, head_at);
  insert into queue_lanes
    select queue_key, priority, max(concurrency_key is not null), 0, min(queued_at) from sessions
    where queued_at is not null and holder is null group by queue_key, priority;
  update queue_lanes set running =
    (select count(*) from sessions s where s.queue_key = queue_lanes.queue_key and s.holder is not null);

  create table queue_totals (one integer primary key check (one = 1), waiting integer not null, changes integer not null);
  insert into queue_totals select 1, count(*), 0 from sessions where queued_at is not null;

  ${trigger(
    'sessions_queue_insert',
    'insert on sessions when new.queued_at is not null or new.holder is not null',
    lane('new'),
    `update queue_totals set waiting = waiting + (new.queued_at is not null), changes = changes + 1;`,
  )}
  ${trigger(
    'sessions_queue_update',
    `update of queued_at, holder, priority, principal, concurrency_key on sessions
     when old.queued_at is not new.queued_at or old.holder is not new.holder or old.priority <> new.priority
       or old.queue_key <> new.queue_key`,
    lane('old'),
    lane('new'),
    `update queue_totals set changes = changes + 1,
       waiting = waiting + (new.queued_at is not null) - (old.queued_at is not null);`,
  )}
  ${trigger(
    'sessions_queue_delete',
    'delete on sessions when old.queued_at is not null or old.holder is not null',
    lane('old'),
    `update queue_totals set waiting = waiting - (old.queued_at is not null), changes = changes + 1;`,
  )}
`

function trigger(name: string, when: string, ...statements: string[]): string {
  return `create trigger ${name} after ${when} begin ${statements.join('\n')} end;`
}

/** Brings the lane that a session is in, or was in, up to date: its first in line, and what runs under its key. */
function lane(row: 'old' | 'new'): string {
  const running = `(select count(*) from sessions where queue_key = ${row}.queue_key and holder is not null)`
  return `
    delete from queue_lanes where queue_key = ${row}.queue_key and priority = ${row}.priority;
    insert into queue_lanes
      select ${row}.queue_key, ${row}.priority, ${row}.concurrency_key is not null, 0, queued_at from sessions
      where queue_key = ${row}.queue_key and priority = ${row}.priority and queued_at is not null and holder is null
      order by queued_at limit 1;
    update queue_lanes set running = ${running}
      where queue_key = ${row}.queue_key and running <> ${running};`
}
