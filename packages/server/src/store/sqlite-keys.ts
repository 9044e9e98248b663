import type { Policy, ScopeName } from '@troupe/protocol/access'
import { NANOS } from './ledger.ts'
import { AccessLimit, type KeyRow, type KeyStore, type TokenRow, type WorkspaceRow } from './keys.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { Effect } from './idempotency.ts'

type Row = Record<string, never>

const keyFromRow = (row: Row): KeyRow => ({
  id: row.id!,
  workspaceId: row.workspace_id!,
  name: row.name!,
  prefix: row.prefix!,
  hash: row.hash!,
  previousHash: row.previous_hash ?? null,
  previousUntil: row.previous_until ?? null,
  scopes: JSON.parse(row.scopes!) as ScopeName[],
  policy: JSON.parse(row.policy!) as Policy,
  createdBy: row.created_by ?? null,
  createdAt: row.created_at!,
  updatedAt: row.updated_at!,
  expiresAt: row.expires_at ?? null,
  revokedAt: row.revoked_at ?? null,
  lastUsedAt: row.last_used_at ?? null,
})

const workspaceFromRow = (row: Row): WorkspaceRow => ({
  id: row.id!,
  name: row.name!,
  policy: JSON.parse(row.policy!) as Policy,
  retention: row.ttl_ms == null ? null : { ttlMs: row.ttl_ms === FOR_EVER ? null : row.ttl_ms },
  createdAt: row.created_at!,
  updatedAt: row.updated_at!,
  archivedAt: row.archived_at ?? null,
})

/** As a time that sessions are kept. */
const FOR_EVER = -1
const ttlColumn = (retention: WorkspaceRow['retention']) => (retention ? (retention.ttlMs ?? FOR_EVER) : null)

const tokenFromRow = (row: Row): TokenRow => ({
  id: row.id!,
  hash: row.hash!,
  keyId: row.key_id ?? null,
  workspaceId: row.workspace_id!,
  sessionId: row.session_id ?? null,
  scopes: JSON.parse(row.scopes!) as ScopeName[],
  createdAt: row.created_at!,
  expiresAt: row.expires_at!,
})

/** Keys, workspaces and tokens. */
export function sqliteKeys({ statement, write, noteEffect }: SqliteAccess): KeyStore {
  const get = (text: string, ...values: unknown[]) => statement(text).get(...values) as Row | undefined
  const key = (id: string) => {
    const row = get('select * from api_keys where id = ?', id)
    return row ? keyFromRow(row) : null
  }
  const workspace = (id: string) => {
    const row = get('select * from workspaces where id = ?', id)
    return row ? workspaceFromRow(row) : null
  }
  const done = <T>(effect: Effect | undefined, value: T): T => {
    if (effect) noteEffect(effect)
    return value
  }
  const pageOf = <T>(rows: unknown[], limit: number, read: (row: Row) => T) => ({
    rows: (rows as Row[]).slice(0, limit).map(read),
    more: rows.length > limit,
  })
  const count = (text: string, ...values: unknown[]) => (get(text, ...values) as unknown as { n: number }).n

  return {
    createKey: (row, limit, effect) =>
      write(() => {
        if (
          count('select count(*) as n from api_keys where workspace_id = ? and revoked_at is null', row.workspaceId) >=
          limit
        )
          throw new AccessLimit(`${limit} keys`)
        statement(
          `insert into api_keys (id, workspace_id, name, prefix, hash, scopes, policy, created_by, created_at,
             updated_at, expires_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ).run(
          row.id,
          row.workspaceId,
          row.name,
          row.prefix,
          row.hash,
          JSON.stringify(row.scopes),
          JSON.stringify(row.policy),
          row.createdBy,
          row.createdAt,
          row.updatedAt,
          row.expiresAt,
        )
        done(effect, undefined)
      }),

    readKey: async (id) => key(id),

    findKey: async (hash, at) => {
      const row =
        get('select * from api_keys where hash = ?', hash) ??
        get('select * from api_keys where previous_hash = ? and previous_until > ?', hash, at)
      return row ? keyFromRow(row) : null
    },

    listKeys: async ({ workspaceId, includeRevoked }, limit, after) =>
      pageOf(
        statement(
          `select * from api_keys where workspace_id = ? and (? or revoked_at is null) and (created_at, id) < (?, ?)
           order by created_at desc, id desc limit ?`,
        ).all(workspaceId, includeRevoked ? 1 : 0, after?.at ?? Number.MAX_SAFE_INTEGER, after?.id ?? '', limit + 1),
        limit,
        keyFromRow,
      ),

    updateKey: (id, at, patch, effect) =>
      write(() => {
        const before = key(id)
        if (!before || before.revokedAt !== null) return null
        const { name, scopes, policy, expiresAt } = { ...before, ...patch }
        statement(
          'update api_keys set name = ?, scopes = ?, policy = ?, expires_at = ?, updated_at = ? where id = ?',
        ).run(name, JSON.stringify(scopes), JSON.stringify(policy), expiresAt, at, id)
        return done(effect, key(id))
      }),

    rotateKey: (id, at, { prefix, hash }, previousUntil, effect) =>
      write(() => {
        const before = key(id)
        if (!before || before.revokedAt !== null) return null
        statement(
          `update api_keys set prefix = ?, hash = ?, previous_hash = ?, previous_until = ?, updated_at = ?
           where id = ?`,
        ).run(prefix, hash, before.hash, previousUntil, at, id)
        return done(effect, key(id))
      }),

    revokeKey: (id, at, effect) =>
      write(() => {
        if (!key(id)) return null
        statement('update api_keys set revoked_at = ?, updated_at = ? where id = ? and revoked_at is null').run(
          at,
          at,
          id,
        )
        statement('delete from tokens where key_id = ?').run(id)
        return done(effect, key(id))
      }),

    noteUse: (used) =>
      write(() => {
        const note = statement('update api_keys set last_used_at = max(coalesce(last_used_at, 0), ?) where id = ?')
        for (const [id, at] of used) note.run(at, id)
      }),

    hasKey: async (at, operator = false) =>
      get(
        `select 1 from api_keys k join workspaces w on w.id = k.workspace_id
         where k.revoked_at is null and (k.expires_at is null or k.expires_at > ?) and w.archived_at is null
           and (? or exists (select 1 from json_each(k.scopes) where value = 'operator')) limit 1`,
        at,
        operator ? 0 : 1,
      ) !== undefined,

    createWorkspace: (row, limit, effect) =>
      write(() => {
        if (count('select count(*) as n from workspaces where archived_at is null') >= limit)
          throw new AccessLimit(`${limit} workspaces`)
        statement(
          'insert into workspaces (id, name, policy, ttl_ms, created_at, updated_at) values (?, ?, ?, ?, ?, ?)',
        ).run(row.id, row.name, JSON.stringify(row.policy), ttlColumn(row.retention), row.createdAt, row.updatedAt)
        done(effect, undefined)
      }),

    readWorkspace: async (id) => workspace(id),

    listWorkspaces: async (includeArchived, limit, after) =>
      pageOf(
        statement(
          `select * from workspaces where (? or archived_at is null) and (created_at, id) < (?, ?)
           order by created_at desc, id desc limit ?`,
        ).all(includeArchived ? 1 : 0, after?.at ?? Number.MAX_SAFE_INTEGER, after?.id ?? '', limit + 1),
        limit,
        workspaceFromRow,
      ),

    updateWorkspace: (id, at, patch, effect) =>
      write(() => {
        const before = workspace(id)
        if (!before || before.archivedAt !== null) return null
        const { name, policy, retention } = { ...before, ...patch }
        statement('update workspaces set name = ?, policy = ?, ttl_ms = ?, updated_at = ? where id = ?').run(
          name,
          JSON.stringify(policy),
          ttlColumn(retention),
          at,
          id,
        )
        return done(effect, workspace(id))
      }),

    archiveWorkspace: (id, at, effect) =>
      write(() => {
        if (!workspace(id)) return null
        statement('update workspaces set archived_at = ?, updated_at = ? where id = ? and archived_at is null').run(
          at,
          at,
          id,
        )
        return done(effect, workspace(id))
      }),

    createToken: (row, effect) =>
      write(() => {
        statement(
          `insert into tokens (id, hash, key_id, workspace_id, session_id, scopes, created_at, expires_at)
           values (?, ?, ?, ?, ?, ?, ?, ?)`,
        ).run(
          row.id,
          row.hash,
          row.keyId,
          row.workspaceId,
          row.sessionId,
          JSON.stringify(row.scopes),
          row.createdAt,
          row.expiresAt,
        )
        done(effect, undefined)
      }),

    findToken: async (hash) => {
      const row = get('select * from tokens where hash = ?', hash)
      return row ? tokenFromRow(row) : null
    },

    deleteToken: (id) =>
      write(() => {
        statement('delete from tokens where id = ?').run(id)
      }),

    costOf: async (kind, id, day) => {
      const column = kind === 'key' ? 'principal' : 'workspace_id'
      const row = get(`select coalesce(sum(cost_nano), 0) as n from ledger where ${column} = ? and day = ?`, id, day)
      return (row as unknown as { n: number }).n / NANOS
    },
  }
}
