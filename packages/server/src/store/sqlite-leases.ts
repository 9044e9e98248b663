import type { LeaseStore } from './leases.ts'
import { sessionFromRow } from './rows.ts'
import type { SessionsTable } from './schema.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { SqliteQueue } from './sqlite-queue.ts'

export function sqliteLeases({ statement, write }: SqliteAccess, queue: SqliteQueue): LeaseStore {
  return {
    claimNext(holder, at, leaseUntil, limits) {
      return write(() => queue.claim(holder, at, leaseUntil, limits))
    },

    seize(sessionId, holder, leaseUntil) {
      return write(() => {
        const row = statement(
          `update sessions set holder = ?, lease_until = ?, epoch = epoch + 1, version = version + 1 where id = ? returning *`,
        ).get(holder, leaseUntil, sessionId)
        return row ? sessionFromRow(row as SessionsTable) : null
      })
    },

    async renewLeases(holder, leaseUntil) {
      await write(() => {
        statement('update sessions set lease_until = ? where holder = ?').run(leaseUntil, holder)
      })
    },

    async findHeld() {
      const rows = statement(
        `select id from sessions where holder is not null or (status in ('running', 'rescheduling') and queued_at is null)`,
      ).all() as { id: string }[]
      return rows.map((row) => row.id)
    },
  }
}
