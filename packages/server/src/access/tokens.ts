import type { ScopeName, TOKEN_SCOPES } from '@troupe/protocol/access'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import { type Caller, holds } from '../sessions/caller.ts'
import type { TokenRow } from '../store/keys.ts'
import { type AccessContext, effectOf, type Key } from './context.ts'
import { newSecret } from './secrets.ts'

type TokenScope = (typeof TOKEN_SCOPES)[number]

/** What a token may do, in the words that keys have for it. */
const MEANS: Record<TokenScope, ScopeName> = {
  read: 'sessions:read',
  send: 'sessions:send',
  approve: 'approvals:write',
}
const DEFAULT_SECONDS = 3_600

export const tokenScopes = (row: TokenRow): TokenScope[] =>
  (Object.keys(MEANS) as TokenScope[]).filter((scope) => row.scopes.includes(MEANS[scope]))

/** A token for one session, for a browser to hold. Nobody gives what they do not have: throws `scope_missing`. */
export async function createSessionToken(
  { keys, clock }: AccessContext,
  caller: Caller,
  sessionId: string,
  request: { scopes: readonly TokenScope[]; ttl_seconds?: number | undefined },
  key: Key,
): Promise<{ row: TokenRow; secret: string }> {
  const scopes = [...new Set(request.scopes)].map((scope) => MEANS[scope])
  for (const scope of scopes)
    if (!holds(caller, scope))
      throw new ApiError('scope_missing', `A key without the scope ${scope} cannot make a token that has it.`)
  const { secret, hash } = newSecret('session')
  const at = clock.now()
  const row: TokenRow = {
    id: newId('token'),
    hash,
    keyId: keyOf(caller),
    workspaceId: caller.workspaceId,
    sessionId,
    scopes,
    createdAt: at,
    expiresAt: at + (request.ttl_seconds ?? DEFAULT_SECONDS) * 1000,
  }
  await keys.createToken(row, effectOf(key, { id: row.id, expires_at: row.expiresAt }))
  return { row, secret }
}

/** How long a browser stays logged in, in ms. */
export const LOGIN_MS = 12 * 3_600_000

/** A login: good as long as its key is, and at most for `LOGIN_MS`. What it may do is read from its key each time. */
export async function createLogin(
  { keys, clock }: AccessContext,
  caller: Caller,
): Promise<{ row: TokenRow; secret: string }> {
  const { secret, hash } = newSecret('login')
  const at = clock.now()
  const row: TokenRow = {
    id: newId('token'),
    hash,
    keyId: keyOf(caller),
    workspaceId: caller.workspaceId,
    sessionId: null,
    scopes: [],
    createdAt: at,
    expiresAt: at + LOGIN_MS,
  }
  await keys.createToken(row)
  return { row, secret }
}

const keyOf = ({ principal }: Caller) => (principal === 'local' ? null : principal)
