import { REPOSITORIES_MIGRATION } from './sqlite-repositories.ts'
import { ENVIRONMENTS_MIGRATION } from './sqlite-environments.ts'
import { AGENTS_MIGRATION } from './sqlite-agents.ts'
import { BRANCHES_MIGRATION, REWINDS_MIGRATION } from './branches.ts'
import { SKILLS_MIGRATION } from './sqlite-skills.ts'
import { OUTPUTS_MIGRATION } from './sqlite-outputs.ts'
import { RESOURCES_MIGRATION } from './sqlite-resources.ts'
import { AUDIT_MIGRATION } from './sqlite-audit.ts'
import { FILES_MIGRATION } from './sqlite-files.ts'
import { QUEUE_MIGRATION } from './queue-schema.ts'
import { RETENTION_MIGRATION } from './retention.ts'
import { RUNNING_CAPS_MIGRATION } from './running-caps.ts'
import { DEPLOYMENTS_MIGRATION } from './sqlite-deployments.ts'
import { SEARCH_MIGRATION } from './search.ts'
import { TOTALS_MIGRATION } from './totals.ts'

/**
 * Forward only; each entry runs once, in its own transaction, and never changes after a release. The number of entries
 * applied is the database's `user_version`.
 */
export const MIGRATIONS: readonly string[] = [
  `
  create table sessions (
    id text primary key,
    status text not null,
    version integer not null,
    last_seq integer not null,
    epoch integer not null,
    holder text,
    lease_until integer,
    queued_at integer,
    current_turn_id text,
    last_turn_status text,
    turn_count integer not null,
    message_count integer not null,
    agent text not null,
    agent_id text not null,
    options text not null,
    cwd text not null,
    title text,
    metadata text not null,
    external_id text,
    prompt text not null,
    stop_reason text,
    stop_reason_type text,
    last_error text,
    result text,
    origin_result text,
    usage text not null,
    sdk_totals text not null,
    active_ms integer not null,
    started_at integer,
    ended_at integer,
    created_at integer not null,
    updated_at integer not null,
    archived_at integer
  );
  create index sessions_newest on sessions (created_at, id);
  create index sessions_current on sessions (created_at, id) where archived_at is null;
  create index sessions_status on sessions (status, created_at, id);
  create index sessions_queue on sessions (queued_at, id) where queued_at is not null;
  create index sessions_held on sessions (holder) where holder is not null;
  create unique index sessions_external on sessions (external_id) where external_id is not null and archived_at is null;

  create table turns (
    id text primary key,
    session_id text not null,
    number integer not null,
    status text not null,
    input_event_ids text not null,
    output text,
    stop_reason text,
    error text,
    usage text,
    model_requests integer,
    created_at integer not null,
    started_at integer,
    ended_at integer
  );
  create unique index turns_session on turns (session_id, number);
  create index turns_open on turns (session_id, number) where status in ('queued', 'in_progress', 'waiting');

  create table events (
    session_id text not null,
    seq integer not null,
    id text not null,
    repeats integer,
    type text not null,
    turn_id text,
    thread_id text,
    created_at integer not null,
    processed_at integer,
    body text not null,
    primary key (session_id, seq)
  ) without rowid;
  create index events_id on events (session_id, id, seq);
  create index events_repeats on events (session_id, repeats) where repeats is not null;

  create table messages (
    session_id text not null,
    n integer not null,
    turn_id text,
    created_at integer not null,
    body text not null,
    primary key (session_id, n)
  );

  create table transcript (
    session_id text not null,
    subpath text not null,
    n integer not null,
    uuid text,
    body text not null,
    primary key (session_id, subpath, n)
  );
  create unique index transcript_uuid on transcript (session_id, subpath, uuid) where uuid is not null;

  create table tombstones (id text primary key, deleted_at integer not null) without rowid;

  create table outbox (
    n integer primary key,
    session_id text not null,
    seq integer not null,
    type text not null,
    created_at integer not null
  );

  create table idempotency (
    principal text not null,
    key text not null,
    fingerprint text not null,
    state text not null,
    effect text,
    status integer,
    body text,
    created_at integer not null,
    primary key (principal, key)
  );
  create index idempotency_age on idempotency (created_at);
  `,
  `
  create table approvals (
    id text primary key,
    session_id text not null,
    turn_id text not null,
    thread_id text,
    kind text not null,
    tool_name text not null,
    input text not null,
    sdk_tool_use_id text not null,
    reason text not null,
    rule text,
    status text not null,
    open integer not null,
    held integer not null,
    decision text,
    actor text,
    verdict_event_id text,
    created_at integer not null,
    expires_at integer,
    on_timeout text not null,
    decided_at integer,
    consumed_at integer
  );
  create index approvals_session on approvals (session_id, created_at, id);
  create index approvals_status on approvals (status, created_at, id);
  create index approvals_newest on approvals (created_at, id);
  create index approvals_open on approvals (session_id) where open = 1;
  create index approvals_due on approvals (expires_at) where status = 'pending' and expires_at is not null;

  create table grants (
    id text primary key,
    session_id text,
    agent_id text not null,
    rule text not null,
    actor text,
    created_at integer not null
  );
  create index grants_agent on grants (agent_id) where session_id is null;
  create index grants_session on grants (session_id) where session_id is not null;

  alter table turns add column position real not null default 0;
  update turns set position = number;
  alter table turns add column active_ms integer not null default 0;
  alter table turns add column running_since integer;
  update turns set running_since = started_at where status = 'in_progress';
  alter table turns add column resume text;
  alter table turns add column recoveries text not null default '[]';
  `,
  // The outbox says by itself what happened, so that it can be told of a session that is gone. Its numbers are never
  // used again (autoincrement): a reader's cursor would pass over what bears an old one.
  `
  create table outbox_2 (
    n integer primary key autoincrement,
    session_id text not null,
    seq integer not null,
    type text not null,
    created_at integer not null,
    event_id text not null default '',
    turn_id text,
    thread_id text
  );
  insert into outbox_2
    select o.n, o.session_id, o.seq, o.type, o.created_at, e.id, e.turn_id, e.thread_id
    from outbox o join events e on e.session_id = o.session_id and e.seq = o.seq order by o.n;
  drop table outbox;
  alter table outbox_2 rename to outbox;
  create index outbox_age on outbox (created_at);

  create table webhook_cursor (only integer primary key check (only = 1), n integer not null);
  insert into webhook_cursor values (1, 0);

  create table webhook_endpoints (
    id text primary key,
    url text not null,
    description text,
    types text not null,
    names text not null,
    include text not null,
    status text not null,
    disabled_reason text,
    disabled_at integer,
    secret text not null,
    previous_secret text,
    previous_until integer,
    after_n integer not null,
    enabled_at integer not null,
    last_delivered_at integer,
    created_at integer not null,
    updated_at integer not null
  );

  create table webhook_deliveries (
    id text primary key,
    endpoint_id text not null,
    event_id text not null,
    type text not null,
    session_id text not null,
    turn_id text,
    thread_id text,
    seq integer not null,
    occurred_at integer not null,
    status text not null,
    attempt_count integer not null,
    claim integer not null,
    claimed_by text,
    next_at integer,
    attempts text not null,
    response_body text,
    created_at integer not null,
    queued_at integer not null,
    delivered_at integer
  );
  create unique index webhook_deliveries_event on webhook_deliveries (endpoint_id, event_id);
  create index webhook_deliveries_list on webhook_deliveries (endpoint_id, created_at, id);
  create index webhook_deliveries_session on webhook_deliveries (endpoint_id, session_id, created_at, id);
  create index webhook_deliveries_open on webhook_deliveries (endpoint_id, created_at, id) where status <> 'delivered';
  create index webhook_deliveries_due on webhook_deliveries (endpoint_id, next_at) where status = 'pending';
  `,
  QUEUE_MIGRATION,
  // The ledger: what each turn used, by model and day. It outlives its sessions.
  `
  create table ledger (
    turn_id text not null,
    model text not null,
    day text not null,
    session_id text not null,
    agent_id text not null,
    principal text not null,
    metadata text,
    at integer not null,
    input_tokens integer not null,
    output_tokens integer not null,
    cache_read_tokens integer not null,
    cache_creation_tokens integer not null,
    cache_creation_1h_tokens integer not null,
    cost_nano integer not null,
    guessed_nano integer not null,
    model_requests integer not null,
    unreported_requests integer not null,
    primary key (turn_id, model, day)
  ) without rowid;
  create index ledger_day on ledger (day, at);
  create index ledger_session on ledger (session_id, day);

  alter table sessions add column cache_prefix text;
  alter table turns add column cache text;
  `,
  `
  create table threads (
    id text primary key,
    session_id text not null,
    parent_id text,
    turn_id text,
    tool_use_id text,
    task_id text not null,
    agent_name text not null,
    description text not null,
    model text,
    background integer not null,
    status text not null,
    stop_reason text,
    summary text,
    usage text,
    active_ms integer not null,
    running_since integer,
    created_at integer not null,
    updated_at integer not null,
    archived_at integer
  );
  create index threads_session on threads (session_id, created_at, id);
  create index threads_running on threads (session_id) where status = 'running';
  create index events_thread on events (session_id, thread_id, seq) where thread_id is not null;
  `,
  AGENTS_MIGRATION,
  BRANCHES_MIGRATION,
  // Workspaces. What was made before there were any belongs to the default one.
  `
  alter table sessions add column workspace_id text not null default 'wrkspc_default';
  drop index sessions_external;
  create unique index sessions_external on sessions (workspace_id, external_id)
    where external_id is not null and archived_at is null;
  create index sessions_workspace on sessions (workspace_id, created_at, id);
  alter table tombstones add column workspace_id text not null default 'wrkspc_default';
  alter table grants add column workspace_id text not null default 'wrkspc_default';
  alter table ledger add column workspace_id text not null default 'wrkspc_default';
  create index ledger_principal on ledger (principal, day);
  create index ledger_workspace on ledger (workspace_id, day);
  alter table outbox add column workspace_id text not null default 'wrkspc_default';
  alter table webhook_endpoints add column workspace_id text not null default 'wrkspc_default';
  `,
  REWINDS_MIGRATION,
  TOTALS_MIGRATION,
  // Who may ask. Of secrets only hashes are kept.
  `
  create table workspaces (
    id text primary key,
    name text not null,
    policy text not null,
    max_running integer generated always as (json_extract(policy, '$.max_running')) virtual,
    created_at integer not null,
    updated_at integer not null,
    archived_at integer
  );
  insert into workspaces (id, name, policy, created_at, updated_at) values ('wrkspc_default', 'Default', '{}', 0, 0);
  create table api_keys (
    id text primary key,
    workspace_id text not null,
    name text not null,
    prefix text not null,
    hash text not null unique,
    previous_hash text,
    previous_until integer,
    scopes text not null,
    policy text not null,
    max_running integer generated always as (json_extract(policy, '$.max_running')) virtual,
    created_by text,
    created_at integer not null,
    updated_at integer not null,
    expires_at integer,
    revoked_at integer,
    last_used_at integer
  );
  create index api_keys_list on api_keys (workspace_id, created_at, id);
  create index api_keys_previous on api_keys (previous_hash) where previous_hash is not null;
  create table tokens (
    id text primary key,
    hash text not null unique,
    key_id text,
    workspace_id text not null,
    session_id text,
    scopes text not null,
    created_at integer not null,
    expires_at integer not null
  );
  create index tokens_end on tokens (expires_at);
  create index tokens_key on tokens (key_id) where key_id is not null;
  create index sessions_held_workspace on sessions (workspace_id) where holder is not null;
  `,
  // What fills a session's context.
  'alter table sessions add column context text',
  SEARCH_MIGRATION,
  DEPLOYMENTS_MIGRATION,
  FILES_MIGRATION,
  RUNNING_CAPS_MIGRATION,
  RETENTION_MIGRATION,
  SKILLS_MIGRATION,
  ENVIRONMENTS_MIGRATION,
  // What a deployment started is looked for by it.
  `
  alter table sessions add column deployment_id text generated always as (json_extract(options, '$.deploymentId')) virtual;
  create index sessions_deployment on sessions (deployment_id, created_at, id) where deployment_id is not null;
  `,
  RESOURCES_MIGRATION,
  OUTPUTS_MIGRATION,
  REPOSITORIES_MIGRATION,
  AUDIT_MIGRATION,
  // The trace of the request that a turn came with.
  'alter table turns add column traceparent text',
]
