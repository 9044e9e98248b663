import type { Statement } from 'better-sqlite3'
import type { Effect } from './idempotency.ts'
import { deliveryQueries } from './webhook-deliveries.ts'
import { endpointQueries } from './webhook-endpoints.ts'
import { outboxQueries } from './webhook-outbox.ts'
import type { WebhookStore } from './webhooks.ts'

/** What the store lends: prepared statements, its one writer, and idempotency keys to note an effect under. */
export interface SqliteAccess {
  statement(text: string): Statement
  write<T>(run: () => T): Promise<T>
  noteEffect(effect: Effect): void
}

export const sqliteWebhooks = (access: SqliteAccess): WebhookStore => ({
  ...endpointQueries(access),
  ...outboxQueries(access),
  ...deliveryQueries(access),
})
