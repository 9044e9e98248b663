import {
  type CreateApiKey,
  type Policy,
  type ScopeName,
  SERVER_SCOPES,
  type UpdateApiKey,
} from '@troupe/protocol/access'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import { type Caller, holds } from '../sessions/caller.ts'
import { AccessLimit, type KeyRow } from '../store/keys.ts'
import { type AccessContext, effectOf, type Key } from './context.ts'
import { newSecret } from './secrets.ts'
import { requireWorkspace } from './workspaces.ts'

/** Keys of a workspace that are not revoked, at most. */
export const MAX_KEYS = 1_000
/** How long a rotated secret is good beside the new one, unless the caller says otherwise, in seconds. */
const GRACE_SECONDS = 86_400

const noKey = (id: string) => new ApiError('api_key_not_found', `API key ${JSON.stringify(id)} does not exist.`)

/** The workspace whose keys a caller asks for. Throws `workspace_not_found` for another than its own, but to an operator. */
export function workspaceAsked(caller: Caller, asked: string | undefined): string {
  if (asked === undefined || asked === caller.workspaceId) return caller.workspaceId
  if (!holds(caller, 'operator'))
    throw new ApiError('workspace_not_found', `Workspace ${JSON.stringify(asked)} does not exist.`)
  return asked
}

/** Throws `api_key_not_found`, for one of another workspace too where the caller is no operator. */
export async function requireKey({ keys }: AccessContext, caller: Caller, id: string): Promise<KeyRow> {
  const row = await keys.readKey(id)
  if (!row || (row.workspaceId !== caller.workspaceId && !holds(caller, 'operator'))) throw noKey(id)
  return row
}

/** Nobody gives what they do not have: throws `scope_missing`. */
function assertMayGive(caller: Caller, scopes: readonly ScopeName[]): void {
  for (const scope of scopes)
    if (!holds(caller, scope))
      throw new ApiError(
        'scope_missing',
        SERVER_SCOPES.includes(scope)
          ? `Only a key with the scope operator may give ${scope}.`
          : `A key without the scope ${scope} cannot give it.`,
      )
}

/**
 * A key with a policy of its own could shed it by a key without: it makes and changes none, nor gets their secrets.
 * Throws `limit_not_allowed`.
 */
function assertUnbounded(caller: Caller): void {
  if (caller.policies.some(({ kind }) => kind === 'key'))
    throw new ApiError('limit_not_allowed', 'A key with a policy of its own cannot make or change keys.')
}

/** A policy as it is kept: without what bounds nothing. */
export function policyToKeep(policy: Policy | null | undefined): Policy {
  const bounds = Object.entries(policy ?? {}).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(bounds)
}

/** Makes a key. Its secret is in the answer and nowhere else. Throws `scope_missing`, `workspace_not_found`, `access_limit`. */
export async function createKey(
  context: AccessContext,
  caller: Caller,
  body: CreateApiKey,
  key: Key,
): Promise<{ row: KeyRow; secret: string }> {
  assertUnbounded(caller)
  const { keys, clock } = context
  const workspaceId = workspaceAsked(caller, body.workspace_id)
  const workspace = await requireWorkspace(context, workspaceId)
  if (workspace.archivedAt !== null)
    throw new ApiError('workspace_not_found', `Workspace ${workspaceId} is archived; it gets no more keys.`)
  assertMayGive(caller, body.scopes)
  const { secret, ...hidden } = newSecret('key')
  const at = clock.now()
  const row: KeyRow = {
    id: newId('apikey'),
    workspaceId,
    name: body.name,
    ...hidden,
    previousHash: null,
    previousUntil: null,
    scopes: [...new Set(body.scopes)],
    policy: policyToKeep(body.policy),
    createdBy: caller.principal === 'local' ? null : caller.principal,
    createdAt: at,
    updatedAt: at,
    expiresAt: body.expires_at == null ? null : Date.parse(body.expires_at),
    revokedAt: null,
    lastUsedAt: null,
  }
  try {
    await keys.createKey(row, MAX_KEYS, effectOf(key, { id: row.id }))
  } catch (error) {
    if (!(error instanceof AccessLimit)) throw error
    throw new ApiError('access_limit', `Workspace ${workspaceId} has ${MAX_KEYS} keys; revoke one that is not needed.`)
  }
  return { row, secret }
}

/**
 * Changes what is given. Whoever changes a key must hold all it may do, before and after: otherwise a lesser key could
 * take the bounds off a greater one. Throws `scope_missing`, `api_key_not_found`.
 */
export async function updateKey(
  context: AccessContext,
  caller: Caller,
  id: string,
  body: UpdateApiKey,
  key: Key,
): Promise<KeyRow> {
  assertUnbounded(caller)
  const before = await requireKey(context, caller, id)
  assertMayGive(caller, [...before.scopes, ...(body.scopes ?? [])])
  const patch = {
    ...(body.name !== undefined && { name: body.name }),
    ...(body.scopes && { scopes: [...new Set(body.scopes)] }),
    ...(body.policy !== undefined && { policy: policyToKeep(body.policy) }),
    ...(body.expires_at !== undefined && { expiresAt: body.expires_at === null ? null : Date.parse(body.expires_at) }),
  }
  const row = await context.keys.updateKey(id, context.clock.now(), patch, effectOf(key, { id }))
  if (!row) throw noKey(id)
  return row
}

/** A new secret for a key; the old one is good for the grace time. A bounded key has but its own. Throws as `updateKey`. */
export async function rotateKey(
  context: AccessContext,
  caller: Caller,
  id: string,
  graceSeconds: number | undefined,
  key: Key,
): Promise<{ row: KeyRow; secret: string }> {
  const before = await requireKey(context, caller, id)
  if (before.id !== caller.principal) assertUnbounded(caller)
  assertMayGive(caller, before.scopes)
  const { secret, ...hidden } = newSecret('key')
  const at = context.clock.now()
  const until = at + (graceSeconds ?? GRACE_SECONDS) * 1000
  const row = await context.keys.rotateKey(id, at, hidden, until, effectOf(key, { id }))
  if (!row) throw noKey(id)
  return { row, secret }
}

/** Ends a key at once, with its tokens and logins. Throws as `updateKey`. */
export async function revokeKey(context: AccessContext, caller: Caller, id: string, key: Key): Promise<KeyRow> {
  const before = await requireKey(context, caller, id)
  assertMayGive(caller, before.scopes)
  const row = await context.keys.revokeKey(id, context.clock.now(), effectOf(key, { id }))
  if (!row) throw noKey(id)
  return row
}

/**
 * The first key of a server that needs one and has none that an operator could use: `tell` gets its secret before
 * anything is stored, so that a server that dies in between has not made a key that nobody knows.
 */
export async function makeFirstKey(context: AccessContext, tell: (secret: string) => void): Promise<boolean> {
  const { keys, clock } = context
  const at = clock.now()
  if (await keys.hasKey(at, true)) return false
  const { secret, ...hidden } = newSecret('key')
  tell(secret)
  await keys.createKey(
    {
      id: newId('apikey'),
      workspaceId: 'wrkspc_default',
      name: 'First key',
      ...hidden,
      previousHash: null,
      previousUntil: null,
      scopes: ['operator'],
      policy: {},
      createdBy: null,
      createdAt: at,
      updatedAt: at,
      expiresAt: null,
      revokedAt: null,
      lastUsedAt: null,
    },
    Number.MAX_SAFE_INTEGER,
  )
  return true
}
