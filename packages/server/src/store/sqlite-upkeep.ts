import type { SqliteAccess } from './sqlite-access.ts'
import type { Store } from './store.ts'

export function sqliteUpkeep({ statement, write }: SqliteAccess): Pick<Store, 'sweep' | 'checkWritable'> {
  return {
    sweep(before, boot) {
      return write(() => {
        statement('delete from idempotency where created_at < ?').run(before.idempotency)
        if (before.tokens !== undefined) statement('delete from tokens where expires_at < ?').run(before.tokens)
        if (boot) statement(`delete from idempotency where state = 'running' and effect is null`).run()
        // What an endpoint has yet to be told stays, however old.
        statement(
          `delete from outbox where created_at < ? and (n <= (select n from webhook_cursor)
             or not exists (select 1 from webhook_endpoints where status = 'enabled'))`,
        ).run(before.outbox)
      })
    },

    async checkWritable() {
      await write(() => {
        statement('insert into outbox (session_id, seq, type, created_at) values (?, 0, ?, 0)').run('', 'probe')
        statement(`delete from outbox where session_id = '' and type = 'probe'`).run()
      })
    },
  }
}
