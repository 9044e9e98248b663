/** A change of a table that the audit log tells of. Expressions are SQL over `old` and `new`. */
interface Audited {
  on: string
  when?: string
  action: string
  /** The kind of thing, and its id. */
  resource: [string, string]
  workspace: string
  /** JSON, without secrets; what holds null is left out. */
  details?: string
  /** Who did it, where the request cannot say; null: it can. */
  principal?: string
  /** Told of only where somebody asked for it. */
  asked?: true
}

const differ = (columns: readonly string[]) =>
  columns.map((column) => `old.${column} is not new.${column}`).join(' or ')
const changed = (columns: readonly string[]) =>
  `'changed', json_array(${columns.map((column) => `case when old.${column} is not new.${column} then '${column}' end`).join(', ')})`

const KEY = ['name', 'scopes', 'policy', 'expires_at']
const WORKSPACE = ['name', 'policy', 'ttl_ms']
const ENDPOINT = ['url', 'description', 'types', 'names', 'include', 'status', 'disabled_reason']
const DEPLOYMENT = ['name', 'description', 'agent_id', 'agent_version', 'body', 'metadata', 'schedule', 'paused_reason']
const ENVIRONMENT = ['name', 'description', 'config', 'metadata']
const SESSION = ['agent', 'options']
const of = (session: string) => `(select workspace_id from sessions where id = ${session})`

/**
 * Everything that the audit log tells of by itself: whoever adds a table that people decide about adds its lines here.
 * Columns that the server writes while it works are not among those that are looked at.
 */
export const AUDITED: readonly Audited[] = [
  {
    on: 'insert on api_keys',
    action: 'api_key.created',
    resource: ['api_key', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'name', new.name, 'scopes', json(new.scopes), 'policy', json(new.policy), 'expires_at', new.expires_at`,
  },
  {
    on: `update of ${KEY.join(', ')} on api_keys`,
    when: differ(KEY),
    action: 'api_key.updated',
    resource: ['api_key', 'new.id'],
    workspace: 'new.workspace_id',
    details: `${changed(KEY)}, 'name', new.name, 'scopes', json(new.scopes), 'policy', json(new.policy), 'expires_at', new.expires_at`,
  },
  {
    on: 'update of hash on api_keys',
    when: 'old.hash <> new.hash',
    action: 'api_key.rotated',
    resource: ['api_key', 'new.id'],
    workspace: 'new.workspace_id',
  },
  {
    on: 'update of revoked_at on api_keys',
    when: 'old.revoked_at is null and new.revoked_at is not null',
    action: 'api_key.revoked',
    resource: ['api_key', 'new.id'],
    workspace: 'new.workspace_id',
  },
  {
    on: 'insert on workspaces',
    action: 'workspace.created',
    resource: ['workspace', 'new.id'],
    workspace: 'new.id',
    details: `'name', new.name, 'policy', json(new.policy)`,
  },
  {
    on: `update of ${WORKSPACE.join(', ')} on workspaces`,
    when: differ(WORKSPACE),
    action: 'workspace.updated',
    resource: ['workspace', 'new.id'],
    workspace: 'new.id',
    details: `${changed(WORKSPACE)}, 'name', new.name, 'policy', json(new.policy)`,
  },
  {
    on: 'update of archived_at on workspaces',
    when: 'old.archived_at is null and new.archived_at is not null',
    action: 'workspace.archived',
    resource: ['workspace', 'new.id'],
    workspace: 'new.id',
  },
  {
    on: 'insert on tokens',
    when: 'new.session_id is not null',
    action: 'session_token.created',
    resource: ['session', 'new.session_id'],
    workspace: 'new.workspace_id',
    details: `'token_id', new.id, 'scopes', json(new.scopes), 'expires_at', new.expires_at`,
  },
  {
    on: 'insert on tokens',
    when: 'new.session_id is null',
    action: 'login.created',
    resource: ['login', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'expires_at', new.expires_at`,
    principal: 'new.key_id',
  },
  {
    on: 'delete on tokens',
    when: 'old.session_id is null',
    action: 'login.ended',
    resource: ['login', 'old.id'],
    workspace: 'old.workspace_id',
    principal: 'old.key_id',
    asked: true,
  },
  {
    on: 'insert on webhook_endpoints',
    action: 'webhook_endpoint.created',
    resource: ['webhook_endpoint', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'types', json(new.types)`,
  },
  {
    on: `update of ${ENDPOINT.join(', ')} on webhook_endpoints`,
    when: `new.status <> 'deleted' and (${differ(ENDPOINT)})`,
    action: 'webhook_endpoint.updated',
    resource: ['webhook_endpoint', 'new.id'],
    workspace: 'new.workspace_id',
    details: `${changed(ENDPOINT)}, 'types', json(new.types), 'status', new.status, 'disabled_reason', new.disabled_reason`,
  },
  {
    on: 'update of secret on webhook_endpoints',
    when: `new.status <> 'deleted' and old.secret <> new.secret`,
    action: 'webhook_endpoint.secret_rotated',
    resource: ['webhook_endpoint', 'new.id'],
    workspace: 'new.workspace_id',
  },
  {
    on: 'update of status on webhook_endpoints',
    when: `old.status <> 'deleted' and new.status = 'deleted'`,
    action: 'webhook_endpoint.deleted',
    resource: ['webhook_endpoint', 'new.id'],
    workspace: 'new.workspace_id',
  },
  {
    on: 'insert on agents',
    action: 'agent.created',
    resource: ['agent', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'source', new.source`,
  },
  {
    on: 'update of newest on agents',
    when: 'old.newest <> new.newest',
    action: 'agent.updated',
    resource: ['agent', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'version', new.newest, 'source', new.source`,
  },
  {
    on: 'update of archived_at on agents',
    when: 'old.archived_at is null and new.archived_at is not null',
    action: 'agent.archived',
    resource: ['agent', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'source', new.source`,
  },
  {
    on: 'insert on deployments',
    action: 'deployment.created',
    resource: ['deployment', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'name', new.name, 'agent_id', new.agent_id, 'agent_version', new.agent_version`,
  },
  {
    on: `update of ${DEPLOYMENT.join(', ')} on deployments`,
    when: `old.archived_at is new.archived_at and (${differ(DEPLOYMENT)})`,
    action: 'deployment.updated',
    resource: ['deployment', 'new.id'],
    workspace: 'new.workspace_id',
    details: `${changed(DEPLOYMENT)}, 'agent_id', new.agent_id, 'agent_version', new.agent_version, 'paused_reason', json(new.paused_reason)`,
  },
  {
    on: 'update of archived_at on deployments',
    when: 'old.archived_at is null and new.archived_at is not null',
    action: 'deployment.archived',
    resource: ['deployment', 'new.id'],
    workspace: 'new.workspace_id',
  },
  {
    on: 'insert on environments',
    action: 'environment.created',
    resource: ['environment', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'name', new.name`,
  },
  {
    on: `update of ${ENVIRONMENT.join(', ')} on environments`,
    when: `old.archived_at is new.archived_at and (${differ(ENVIRONMENT)})`,
    action: 'environment.updated',
    resource: ['environment', 'new.id'],
    workspace: 'new.workspace_id',
    details: `${changed(ENVIRONMENT)}, 'name', new.name`,
  },
  {
    on: 'update of archived_at on environments',
    when: 'old.archived_at is null and new.archived_at is not null',
    action: 'environment.archived',
    resource: ['environment', 'new.id'],
    workspace: 'new.workspace_id',
  },
  {
    on: 'delete on environments',
    action: 'environment.deleted',
    resource: ['environment', 'old.id'],
    workspace: 'old.workspace_id',
    details: `'name', old.name`,
  },
  {
    on: 'insert on skills',
    action: 'skill.created',
    resource: ['skill', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'name', new.name`,
  },
  {
    on: 'update of latest_version_id on skills',
    when: 'old.latest_version_id <> new.latest_version_id',
    action: 'skill.updated',
    resource: ['skill', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'latest_version_id', new.latest_version_id`,
  },
  {
    on: 'delete on skills',
    action: 'skill.deleted',
    resource: ['skill', 'old.id'],
    workspace: 'old.workspace_id',
    details: `'name', old.name`,
  },
  {
    on: 'insert on files',
    // What an agent left behind is told by its turn.
    when: 'new.session_id is null',
    action: 'file.created',
    resource: ['file', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'size_bytes', new.size_bytes, 'mime_type', new.mime_type`,
  },
  {
    on: 'delete on files',
    action: 'file.deleted',
    resource: ['file', 'old.id'],
    workspace: 'old.workspace_id',
    details: `'session_id', old.session_id`,
  },
  {
    on: 'insert on sessions',
    action: 'session.created',
    resource: ['session', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'agent_id', new.agent_id, 'cwd', new.cwd, 'of_key', new.principal,
      'deployment_id', json_extract(new.options, '$.deploymentId'),
      'forked_from', json_extract(new.options, '$.forkedFrom.session_id')`,
  },
  {
    on: `update of ${SESSION.join(', ')} on sessions`,
    when: differ(SESSION),
    action: 'session.updated',
    resource: ['session', 'new.id'],
    workspace: 'new.workspace_id',
    details: changed(SESSION),
    asked: true,
  },
  {
    on: 'update of archived_at on sessions',
    when: 'old.archived_at is null and new.archived_at is not null',
    action: 'session.archived',
    resource: ['session', 'new.id'],
    workspace: 'new.workspace_id',
  },
  {
    on: 'delete on sessions',
    action: 'session.deleted',
    resource: ['session', 'old.id'],
    workspace: 'old.workspace_id',
    details: `'agent_id', old.agent_id, 'cwd', old.cwd, 'of_key', old.principal, 'changed_at', old.updated_at`,
  },
  {
    on: 'update of status on approvals',
    when: `old.status = 'pending' and new.status <> 'pending'`,
    action: 'approval.decided',
    resource: ['approval', 'new.id'],
    workspace: of('new.session_id'),
    details: `'status', new.status, 'actor', new.actor, 'tool_name', new.tool_name, 'session_id', new.session_id, 'turn_id', new.turn_id`,
  },
  {
    on: 'insert on grants',
    action: 'grant.created',
    resource: ['grant', 'new.id'],
    workspace: 'new.workspace_id',
    details: `'rule', new.rule, 'agent_id', new.agent_id, 'session_id', new.session_id`,
  },
  {
    on: 'delete on grants',
    action: 'grant.deleted',
    resource: ['grant', 'old.id'],
    workspace: 'old.workspace_id',
    details: `'rule', old.rule, 'agent_id', old.agent_id, 'session_id', old.session_id`,
    asked: true,
  },
]

/**
 * The triggers that hand each such change to `audit_note`. They are of one connection (`temp`), so that other programs
 * may open the file too, and are no part of the schema that a later version must bring forward.
 */
export function auditTriggers(): string {
  return AUDITED.map(
    ({ on, when, action, resource: [type, id], workspace, details = '', principal = 'null', asked }, index) =>
      `create temp trigger audit_${index} after ${on} ${when ? `when ${when}` : ''} begin
         select audit_note('${action}', '${type}', ${id}, ${workspace}, ${principal}, ${asked ? 1 : 0}, json_object(${details}));
       end;`,
  ).join('\n')
}
