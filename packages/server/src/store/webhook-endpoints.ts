import type { Effect } from './idempotency.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { endpointFromRow, type EndpointsTable } from './webhook-rows.ts'
import { EndpointLimit, type EndpointRow, NoSuchWebhook, type WebhookStore } from './webhooks.ts'

type EndpointQueries = Pick<
  WebhookStore,
  'createEndpoint' | 'updateEndpoint' | 'rotateSecret' | 'deleteEndpoint' | 'readEndpoint' | 'listEndpoints'
>

/** The endpoints: few, so they are read whole. */
export function endpointQueries({ statement, write, noteEffect }: SqliteAccess): EndpointQueries {
  const read = (id: string): EndpointRow | null => {
    const row = statement(`select * from webhook_endpoints where id = ? and status <> 'deleted'`).get(id)
    return row ? endpointFromRow(row as EndpointsTable) : null
  }
  const required = (id: string): EndpointRow => {
    const row = read(id)
    if (!row) throw new NoSuchWebhook(id)
    return row
  }
  const lastTold = () => (statement('select coalesce(max(n), 0) as n from outbox').get() as { n: number }).n
  /** Where nobody heard, nothing was told: the cursor passes over it. */
  const skipUnheard = (n: number) =>
    statement(
      `update webhook_cursor set n = max(n, ?)
       where not exists (select 1 from webhook_endpoints where status = 'enabled')`,
    ).run(n)
  const done = (effect: Effect | undefined) => {
    if (effect) noteEffect(effect)
  }

  return {
    createEndpoint: (row, limit, effect) =>
      write(() => {
        const { n } = statement(
          `select count(*) as n from webhook_endpoints where status <> 'deleted' and workspace_id = ?`,
        ).get(row.workspaceId) as {
          n: number
        }
        if (n >= limit) throw new EndpointLimit(`${n} endpoints`)
        const afterN = lastTold()
        skipUnheard(afterN)
        statement(
          `insert into webhook_endpoints (id, workspace_id, url, description, types, names, include, status, disabled_reason,
             disabled_at, secret, previous_secret, previous_until, after_n, enabled_at, last_delivered_at, created_at,
             updated_at)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        ).run(
          row.id,
          row.workspaceId,
          row.url,
          row.description,
          JSON.stringify(row.types),
          row.names,
          JSON.stringify(row.include),
          row.status,
          row.disabledReason,
          row.disabledAt,
          row.secret,
          row.previousSecret,
          row.previousUntil,
          afterN,
          row.createdAt,
          row.lastDeliveredAt,
          row.createdAt,
          row.updatedAt,
        )
        done(effect)
        return { ...row, afterN, enabledAt: row.createdAt }
      }),

    updateEndpoint: (id, at, patch, effect) =>
      write(() => {
        const before = required(id)
        const { url, description, types, names, include, status } = { ...before, ...patch }
        statement(
          `update webhook_endpoints set url = ?, description = ?, types = ?, names = ?, include = ?, updated_at = ?
           where id = ?`,
        ).run(url, description, JSON.stringify(types), names, JSON.stringify(include), at, id)
        if (status === 'enabled' && before.status === 'disabled') {
          const afterN = lastTold()
          skipUnheard(afterN)
          statement(
            `update webhook_endpoints set status = 'enabled', disabled_reason = null, disabled_at = null, after_n = ?,
               enabled_at = ? where id = ?`,
          ).run(afterN, at, id)
        } else if (status === 'disabled' && before.status === 'enabled')
          statement(
            `update webhook_endpoints set status = 'disabled', disabled_reason = 'requested', disabled_at = ?
             where id = ?`,
          ).run(at, id)
        done(effect)
        return required(id)
      }),

    rotateSecret: (id, at, secret, previousUntil, effect) =>
      write(() => {
        const { secret: previous } = required(id)
        statement(
          `update webhook_endpoints set secret = ?, previous_secret = ?, previous_until = ?, updated_at = ?
           where id = ?`,
        ).run(secret, previous, previousUntil, at, id)
        done(effect)
        return required(id)
      }),

    deleteEndpoint: (id, at, effect) =>
      write(() => {
        required(id)
        statement(
          `update webhook_endpoints set status = 'deleted', secret = '', previous_secret = null, url = '',
             description = null, updated_at = ? where id = ?`,
        ).run(at, id)
        done(effect)
      }),

    readEndpoint: async (id) => read(id),

    listEndpoints: async (workspaceId) =>
      (
        statement(
          `select * from webhook_endpoints where status <> 'deleted' and (? is null or workspace_id = ?)
           order by created_at, id`,
        ).all(workspaceId, workspaceId) as EndpointsTable[]
      ).map(endpointFromRow),
  }
}
