import type { Policy, ScopeName } from '@troupe/protocol/access'
import type { Effect } from './idempotency.ts'

export interface KeyRow {
  id: string
  workspaceId: string
  name: string
  /** How the secret begins; the rest of it is nowhere. */
  prefix: string
  /** SHA-256 of the secret, hex. */
  hash: string
  /** Good too until `previousUntil`. */
  previousHash: string | null
  previousUntil: number | null
  scopes: ScopeName[]
  policy: Policy
  createdBy: string | null
  createdAt: number
  updatedAt: number
  expiresAt: number | null
  revokedAt: number | null
  lastUsedAt: number | null
}

export type KeyPatch = Partial<Pick<KeyRow, 'name' | 'scopes' | 'policy' | 'expiresAt'>>

export interface WorkspaceRow {
  id: string
  name: string
  policy: Policy
  /** How long its sessions are kept that say nothing themselves; null: as the server says, `ttlMs` null: for ever. */
  retention?: { ttlMs: number | null } | null
  createdAt: number
  updatedAt: number
  archivedAt: number | null
}

/** A short-lived secret: for one session, or the login of a browser by a key. */
export interface TokenRow {
  id: string
  /** SHA-256 of the secret, hex. */
  hash: string
  /** It is good as long as this key is; null: it was made where nobody needs one. */
  keyId: string | null
  workspaceId: string
  /** Null: a login, which may what its key may. */
  sessionId: string | null
  scopes: ScopeName[]
  createdAt: number
  expiresAt: number
}

type From = { at: number; id: string } | null

/** There are as many as there may be. */
export class AccessLimit extends Error {
  override readonly name = 'AccessLimit'
}

/** The part of the store's contract that is about who may ask. Like the rest: what a resolved write wrote is on disk. */
export interface KeyStore {
  /** Throws `AccessLimit` when the workspace has `limit` keys that are not revoked. */
  createKey(row: KeyRow, limit: number, effect?: Effect): Promise<void>
  readKey(id: string): Promise<KeyRow | null>
  /** The key with this secret, or with it as the one before within its time; revoked and expired ones too. */
  findKey(hash: string, at: number): Promise<KeyRow | null>
  /** Newest first, after the one given. */
  listKeys(
    filter: { workspaceId: string; includeRevoked: boolean },
    limit: number,
    after: From,
  ): Promise<{ rows: KeyRow[]; more: boolean }>
  /** Null where there is none that is not revoked. */
  updateKey(id: string, at: number, patch: KeyPatch, effect?: Effect): Promise<KeyRow | null>
  /** A new secret; the old one is good until `previousUntil`. Null as in `updateKey`. */
  rotateKey(
    id: string,
    at: number,
    secret: Pick<KeyRow, 'prefix' | 'hash'>,
    previousUntil: number,
    effect?: Effect,
  ): Promise<KeyRow | null>
  /** Ends a key and its tokens; of two at once the first one's time stays. Null: there is none. */
  revokeKey(id: string, at: number, effect?: Effect): Promise<KeyRow | null>
  /** Notes when keys were used. */
  noteUse(used: ReadonlyMap<string, number>): Promise<void>
  /** Whether any key is good at this time; `operator`: one that has that scope. */
  hasKey(at: number, operator?: boolean): Promise<boolean>

  createWorkspace(row: WorkspaceRow, limit: number, effect?: Effect): Promise<void>
  readWorkspace(id: string): Promise<WorkspaceRow | null>
  /** Newest first, after the one given. */
  listWorkspaces(includeArchived: boolean, limit: number, after: From): Promise<{ rows: WorkspaceRow[]; more: boolean }>
  updateWorkspace(
    id: string,
    at: number,
    patch: Partial<Pick<WorkspaceRow, 'name' | 'policy' | 'retention'>>,
    effect?: Effect,
  ): Promise<WorkspaceRow | null>
  /** Its keys are good no more; what it owns stays. */
  archiveWorkspace(id: string, at: number, effect?: Effect): Promise<WorkspaceRow | null>

  createToken(row: TokenRow, effect?: Effect): Promise<void>
  findToken(hash: string): Promise<TokenRow | null>
  deleteToken(id: string): Promise<void>
  /** List cost of a day (`YYYY-MM-DD`, UTC) in dollars, by key or workspace. */
  costOf(kind: 'key' | 'workspace', id: string, day: string): Promise<number>
}
