import { ApiError } from '@troupe/protocol/error'
import { type Caller, LOCAL_CALLER, type PolicyOf, withIncluded } from '../sessions/caller.ts'
import type { KeyRow } from '../store/keys.ts'
import type { AccessContext } from './context.ts'
import { hashOf, kindOf, sameHash } from './secrets.ts'

const refused = (detail: string) => new ApiError('invalid_api_key', detail)

/**
 * Who holds this secret, now. Everything is read anew each time, so that what is revoked, rotated, expired or archived
 * is refused at once. Throws `invalid_api_key`, `token_expired`.
 */
export async function authenticate(context: AccessContext, secret: string): Promise<Caller> {
  const kind = kindOf(secret)
  if (kind === null || secret.length > 128)
    throw refused('What was sent is not a key of this server: those begin with sk_troupe_.')
  return kind === 'key' ? byKey(context, secret) : byToken(context, secret)
}

async function byKey({ keys, clock }: AccessContext, secret: string): Promise<Caller> {
  const at = clock.now()
  const hash = hashOf(secret)
  const row = await keys.findKey(hash, at)
  if (!row || !(sameHash(hash, row.hash) || sameHash(hash, row.previousHash)))
    throw refused('No key has this secret; it may have been rotated.')
  return callerOfKey({ keys, clock }, row)
}

async function callerOfKey({ keys, clock }: Pick<AccessContext, 'keys' | 'clock'>, row: KeyRow): Promise<Caller> {
  if (row.revokedAt !== null) throw refused(`The key ${row.prefix}… was revoked.`)
  if (row.expiresAt !== null && row.expiresAt <= clock.now()) throw refused(`The key ${row.prefix}… has expired.`)
  const workspace = await keys.readWorkspace(row.workspaceId)
  if (!workspace || workspace.archivedAt !== null)
    throw refused(`The workspace of the key ${row.prefix}… was archived.`)
  const policies: PolicyOf[] = []
  if (Object.keys(row.policy).length > 0) policies.push({ kind: 'key', id: row.id, policy: row.policy })
  if (Object.keys(workspace.policy).length > 0)
    policies.push({ kind: 'workspace', id: workspace.id, policy: workspace.policy })
  return {
    principal: row.id,
    credential: row.id,
    workspaceId: row.workspaceId,
    scopes: withIncluded(row.scopes),
    policies,
    sessionId: null,
  }
}

/** A token is good as long as it lasts and the key that made it is. */
async function byToken(context: AccessContext, secret: string): Promise<Caller> {
  const hash = hashOf(secret)
  const row = await context.keys.findToken(hash)
  if (!row || !sameHash(hash, row.hash)) throw refused('No token has this secret; its key may have been revoked.')
  if (row.expiresAt <= context.clock.now())
    throw new ApiError('token_expired', 'The token has ended; ask for a new one.')
  const key = row.keyId === null ? null : await context.keys.readKey(row.keyId)
  if (row.keyId !== null && !key) throw refused('The key that made this token does not exist any more.')
  const owner = key ? await callerOfKey(context, key) : { ...LOCAL_CALLER, workspaceId: row.workspaceId }
  if (row.sessionId === null) return { ...owner, credential: row.id }
  // What its key lost meanwhile, it has lost too.
  const scopes = new Set(row.scopes.filter((scope) => owner.scopes.has(scope) || holdsAll(owner)))
  return { ...owner, credential: row.id, scopes, sessionId: row.sessionId }
}

const holdsAll = ({ scopes }: Caller) => scopes.has('admin') || scopes.has('operator')

/**
 * Who a key is where no request is made with it: for work that was ordered earlier. Throws as `authenticate` when it
 * is good no more.
 */
export async function callerOf(
  context: Pick<AccessContext, 'keys' | 'clock'>,
  principal: string,
  workspaceId: string,
): Promise<Caller> {
  if (principal === LOCAL_CALLER.principal) return { ...LOCAL_CALLER, workspaceId }
  const row = await context.keys.readKey(principal)
  if (!row || row.workspaceId !== workspaceId) throw refused('The key that ordered this does not exist any more.')
  return callerOfKey(context, row)
}
