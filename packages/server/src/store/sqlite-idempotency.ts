import type { Effect, IdempotencyRecord, IdempotencyStore } from './idempotency.ts'
import type { SqliteAccess } from './sqlite-access.ts'

/** Notes what was done under a key; called inside the transaction of what was. */
export function noteEffect(statement: SqliteAccess['statement'], { principal, key, result }: Effect): void {
  statement('update idempotency set effect = ? where principal = ? and key = ?').run(result, principal, key)
}

export function sqliteIdempotency({ statement, write }: SqliteAccess): IdempotencyStore {
  return {
    beginIdempotent(principal, key, fingerprint, at) {
      return write(() => {
        const known = statement(
          'select fingerprint, state, effect, status, body from idempotency where principal = ? and key = ?',
        ).get(principal, key) as IdempotencyRecord | undefined
        if (known) return known
        statement(
          `insert into idempotency (principal, key, fingerprint, state, created_at) values (?, ?, ?, 'running', ?)`,
        ).run(principal, key, fingerprint, at)
        return null
      })
    },

    finishIdempotent(principal, key, status, body) {
      return write(() => {
        const done = `update idempotency set state = 'done', status = ?, body = ? where principal = ? and key = ?`
        statement(done).run(status, body, principal, key)
      })
    },

    abandonIdempotent(principal, key) {
      return write(() => {
        statement('delete from idempotency where principal = ? and key = ? and effect is null').run(principal, key)
      })
    },
  }
}
