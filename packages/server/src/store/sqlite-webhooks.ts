import type { SqliteAccess } from './sqlite-access.ts'
import { deliveryQueries } from './webhook-deliveries.ts'
import { endpointQueries } from './webhook-endpoints.ts'
import { outboxQueries } from './webhook-outbox.ts'
import type { WebhookStore } from './webhooks.ts'

export const sqliteWebhooks = (access: SqliteAccess): WebhookStore => ({
  ...endpointQueries(access),
  ...outboxQueries(access),
  ...deliveryQueries(access),
})
