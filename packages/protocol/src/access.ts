import { z } from 'zod'
import { PermissionMode } from './agent.ts'
import { WorkspaceRetention } from './retention.ts'
import { page, PageQuery } from './session.ts'

/** What a key may do, each with one sentence. `docs/api.md` has the same table; a test compares the two. */
export const SCOPES = {
  'sessions:read': 'See sessions, their events, turns, threads, approvals, the queue and the models',
  'sessions:send': 'Send messages to sessions, interrupt them, change inputs that wait',
  'sessions:write': 'Create, change, archive, delete and prune sessions; includes `sessions:send`',
  'approvals:write': 'Answer approvals, and take back what answers allowed for good',
  'agents:read': 'See saved agents',
  'agents:write': 'Save, change and archive agents',
  'environments:read': 'See environments',
  'environments:write': 'Create, change, archive and delete environments',
  'files:read': 'See and download files',
  'files:write': 'Upload and delete files',
  'deployments:read': 'See deployments and their runs',
  'deployments:write': 'Create, change, run and archive deployments',
  'webhooks:read': 'See webhook endpoints and what was sent to them',
  'webhooks:write': 'Create, change and delete webhook endpoints, send again; shows their secrets',
  'usage:read': 'See what was used and what it cost',
  'metrics:read': 'Read `/metrics`, which counts over all workspaces',
  admin: 'Everything in its own workspace, its keys too; none of the scopes that reach beyond it',
  operator: 'Everything, and the workspaces and keys of all; only an operator can give it or `metrics:read`',
} as const satisfies Record<string, string>
export type ScopeName = keyof typeof SCOPES
export const Scope = z.enum(Object.keys(SCOPES) as [ScopeName, ...ScopeName[]])

/** Scopes that reach beyond a workspace. */
export const SERVER_SCOPES: readonly ScopeName[] = ['operator', 'metrics:read']

const Cents = z
  .string()
  .regex(/^[1-9]\d{0,11}$/, 'must be whole cents as text, from "1" to "999999999999"')
  .describe('Whole cents, USD, at list price')
const names = (max: number) => z.array(z.string().min(1).max(256)).max(max)

/** Bounds for what a key or a workspace asks for; what is absent or null bounds nothing. Those of both hold. */
export const Policy = z
  .strictObject({
    cwd_roots: z
      .array(z.string().max(4096).regex(/^\//, 'must be an absolute path'))
      .max(64)
      .nullish()
      .describe('Folders that a `cwd` must lie in, links followed. `[]`: no `cwd` may be named'),
    permission_modes: z.array(PermissionMode).max(8).nullish().describe('Modes that agents may have'),
    models: names(64)
      .nullish()
      .describe('Models that agents may name, with `*`; `default` is the choice of the server'),
    disallowed_tools: names(256).nullish().describe('Tools and rules that every agent is denied'),
    env_names: names(256)
      .nullish()
      .describe('Names a request may set in `env`, with `*`. Those that take over the agent never'),
    environments: names(64).nullish().describe('Ids of environments that sessions may begin in; `env_default` is one'),
    setup: z
      .boolean()
      .nullish()
      .describe(
        'Whether environments with `setup` commands may be saved. Absent: unless `cwd_roots`, `permission_modes`, `disallowed_tools` or `env_names` bounds what agents do',
      ),
    max_turns: z.int().min(1).max(10_000).nullish().describe('`limits.max_turns`, at most; also where none is named'),
    session_budget_cents: Cents.nullish().describe("A session's budget, at most; also where none is named"),
    daily_budget_cents: Cents.nullish().describe('Cost of a day (UTC), after which no work is taken'),
    max_running: z.int().min(1).max(1000).nullish().describe('Sessions that run at once; others wait'),
    requests_per_minute: z.int().min(1).max(1_000_000).nullish().describe('Requests, evenly or in one burst'),
  })
  .meta({ id: 'Policy' })
export type Policy = z.infer<typeof Policy>

const Name = z.string().trim().min(1).max(256)
const Scopes = z.array(Scope).min(1).max(32)
const WorkspaceId = z.string().max(64)
const ExpiresAt = z.iso.datetime({ offset: true })

export const ApiKey = z
  .object({
    type: z.literal('api_key'),
    id: z.string(),
    workspace_id: WorkspaceId,
    name: z.string(),
    prefix: z.string().describe('How the secret begins'),
    status: z.enum(['active', 'expired', 'revoked']),
    scopes: z.array(Scope),
    policy: Policy,
    created_by: z.string().nullable().describe('The key that made it; null: no key did'),
    created_at: z.string(),
    updated_at: z.string(),
    expires_at: z.string().nullable(),
    revoked_at: z.string().nullable(),
    last_used_at: z.string().nullable().describe('To within a minute'),
    rotated_until: z.string().nullable().describe('Until when the secret before this one is good too'),
    secret: z
      .string()
      .nullable()
      .optional()
      .describe('Only in the answer that makes it; null where that answer is given again: it is not kept'),
  })
  .meta({ id: 'ApiKey' })
export type ApiKey = z.infer<typeof ApiKey>
export const ApiKeyList = page(ApiKey)

export const CreateApiKey = z
  .strictObject({
    name: Name,
    scopes: Scopes,
    workspace_id: WorkspaceId.optional().describe("Default: the caller's own. Only an operator may name another"),
    policy: Policy.nullish(),
    expires_at: ExpiresAt.nullish(),
  })
  .meta({ id: 'CreateApiKey' })
export type CreateApiKey = z.infer<typeof CreateApiKey>

export const UpdateApiKey = z
  .strictObject({
    name: Name.optional(),
    scopes: Scopes.optional(),
    policy: Policy.nullish().describe('Replaced as a whole; null: none'),
    expires_at: ExpiresAt.nullish(),
  })
  .meta({ id: 'UpdateApiKey' })
export type UpdateApiKey = z.infer<typeof UpdateApiKey>

export const RotateApiKey = z
  .strictObject({
    grace_seconds: z
      .int()
      .min(0)
      .max(7 * 86_400)
      .optional()
      .describe('How long the old secret is good too. Default a day; 0: no longer'),
  })
  .nullish()
  .meta({ id: 'RotateApiKey' })

export const ListApiKeys = PageQuery.extend({
  include_revoked: z.stringbool().optional(),
  workspace_id: WorkspaceId.optional().describe("Default: the caller's own. Only an operator may name another"),
})

export const Workspace = z
  .object({
    type: z.literal('workspace'),
    id: WorkspaceId,
    name: z.string(),
    policy: Policy,
    retention: WorkspaceRetention.nullable().describe(
      'Of sessions that say nothing themselves; null: as the server says',
    ),
    created_at: z.string(),
    updated_at: z.string(),
    archived_at: z.string().nullable(),
  })
  .meta({ id: 'Workspace' })
export type Workspace = z.infer<typeof Workspace>
export const WorkspaceList = page(Workspace)
export const CreateWorkspace = z
  .strictObject({ name: Name, policy: Policy.nullish(), retention: WorkspaceRetention.nullish() })
  .meta({ id: 'CreateWorkspace' })
export const UpdateWorkspace = z
  .strictObject({
    name: Name.optional(),
    policy: Policy.nullish().describe('Replaced as a whole; null: none'),
    retention: WorkspaceRetention.nullish().describe('Holds for all its sessions at once; null: as the server says'),
  })
  .meta({ id: 'UpdateWorkspace' })
export const ListWorkspaces = PageQuery.extend({ include_archived: z.stringbool().optional() })

export const TOKEN_SCOPES = ['read', 'send', 'approve'] as const
export const CreateSessionToken = z
  .strictObject({
    scopes: z.array(z.enum(TOKEN_SCOPES)).min(1).max(3),
    ttl_seconds: z.int().min(1).max(86_400).optional().describe('Default an hour'),
  })
  .meta({ id: 'CreateSessionToken' })
export const SessionToken = z
  .object({
    type: z.literal('session_token'),
    id: z.string(),
    session_id: z.string(),
    scopes: z.array(z.enum(TOKEN_SCOPES)),
    expires_at: z.string(),
    token: z.string().nullable().describe('`est_…`. Null where the answer is given again: it is not kept'),
  })
  .meta({ id: 'SessionToken' })

export const Login = z.strictObject({ api_key: z.string().min(1).max(512) }).meta({ id: 'Login' })
export const LoggedIn = z.object({
  type: z.literal('login'),
  workspace_id: WorkspaceId,
  scopes: z.array(Scope),
  expires_at: z.string(),
})
export const LoggedOut = z.object({ type: z.literal('logged_out') })
