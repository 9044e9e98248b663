import { z } from 'zod'
import { oneOrMany, page, PageQuery } from './session.ts'

/** What the audit log tells of, each with one sentence. `docs/api.md` has the same table; a test compares the two. */
export const AUDIT_ACTIONS = {
  'api_key.created': 'A key was made, or the first one was printed',
  'api_key.updated': 'Name, scopes, policy or expiry of a key were changed',
  'api_key.rotated': 'A key got a new secret',
  'api_key.revoked': 'A key was ended',
  'workspace.created': 'A workspace was made',
  'workspace.updated': 'Name, policy or retention of a workspace were changed',
  'workspace.archived': 'A workspace was archived, which ends its keys',
  'session_token.created': 'A token for one session was given out',
  'login.created': 'A browser was logged in',
  'login.ended': 'A login was ended, by itself or with its key',
  'webhook_endpoint.created': 'A webhook endpoint was made',
  'webhook_endpoint.updated': 'A webhook endpoint was changed, enabled or disabled, by itself too',
  'webhook_endpoint.secret_rotated': 'A webhook endpoint got a new secret',
  'webhook_endpoint.deleted': 'A webhook endpoint was deleted',
  'agent.created': 'An agent was saved',
  'agent.updated': 'An agent got a new version',
  'agent.archived': 'An agent was archived',
  'deployment.created': 'A deployment was made',
  'deployment.updated': 'A deployment was changed, paused or set going',
  'deployment.archived': 'A deployment was archived',
  'environment.created': 'An environment was made',
  'environment.updated': 'An environment was changed',
  'environment.archived': 'An environment was archived',
  'environment.deleted': 'An environment was deleted',
  'skill.created': 'A skill was made',
  'skill.updated': 'A skill got or lost a version',
  'skill.deleted': 'A skill was deleted',
  'file.created': 'A file was uploaded',
  'file.deleted': 'A file was deleted',
  'session.created': 'A session was made, forked or imported',
  'session.updated': 'The agent, limits, budget or retention of a session were changed',
  'session.archived': 'A session was archived',
  'session.deleted': 'A session was erased: by name, by a clean-up, or because its time was over',
  'approval.decided': 'A call that waited was allowed or denied, by a person, a deadline or an interrupt',
  'grant.created': 'A call was allowed for good',
  'grant.deleted': 'What was allowed for good was taken back',
  'request.refused': 'A request went beyond what its key may, or had no good key',
} as const satisfies Record<string, string>
export type AuditAction = keyof typeof AUDIT_ACTIONS

export const AuditEvent = z
  .object({
    type: z.literal('audit_event'),
    id: z.string(),
    created_at: z.string(),
    workspace_id: z.string(),
    action: z.string().describe('An open union; docs/api.md lists it'),
    outcome: z.enum(['done', 'refused']),
    reason: z.string().nullable().describe('Why: the error code of a refusal, or `retention`'),
    principal: z
      .string()
      .describe('The key; `local`: whoever is on this machine, `server`: nobody asked, `nobody`: no good key'),
    credential: z.string().nullable().describe('The token or login it was done with, or the key'),
    resource: z.object({ type: z.string(), id: z.string() }).nullable(),
    details: z.record(z.string(), z.unknown()),
    count: z.number().int().describe('How often, where refusals of one kind follow each other'),
    request: z
      .object({
        id: z.string(),
        route: z.string(),
        address: z.string().describe('Of the connection: behind a proxy the address of the proxy'),
        user_agent: z.string().nullable(),
      })
      .nullable(),
  })
  .meta({ id: 'AuditEvent' })
export type AuditEvent = z.infer<typeof AuditEvent>
export const AuditEventList = page(AuditEvent)

const When = z.iso.datetime({ offset: true }).optional()

const Filter = {
  'action[]': oneOrMany(z.string().regex(/^[a-z_.]{0,63}\*?$/)).describe('Names, or how they begin (`api_key.*`)'),
  principal: z.string().max(64).optional(),
  resource_id: z.string().max(64).optional(),
  outcome: z.enum(['done', 'refused']).optional(),
  'created_at[gt]': When,
  'created_at[gte]': When,
  'created_at[lt]': When,
  'created_at[lte]': When,
  workspace_id: z
    .string()
    .max(64)
    .optional()
    .describe("Default: the caller's own. Only an operator may name another, or `all`"),
}
export const ListAuditEvents = PageQuery.extend(Filter)
export const ExportAuditEvents = z.object(Filter)
