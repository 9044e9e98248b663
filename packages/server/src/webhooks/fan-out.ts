import { newId } from '@troupe/protocol/ids'
import { chooses } from '@troupe/protocol/webhook'
import type { Clock } from '../lib/clock.ts'
import type { EndpointRow, WebhookStore } from '../store/webhooks.ts'

/** Rows of one transaction, at most: bounds how long other writers wait for it. */
const ROWS = 500

export const enabledEndpoints = async (store: WebhookStore): Promise<EndpointRow[]> =>
  (await store.listEndpoints(null)).filter(({ status }) => status === 'enabled')

/** Queues what the outbox holds for who chooses it, until there is no more; says whether anybody listens at all. */
export async function fanOut(store: WebhookStore, clock: Clock, signal: AbortSignal): Promise<boolean> {
  let listening = (await enabledEndpoints(store)).length
  while (listening > 0 && !signal.aborted) {
    const limit = Math.max(1, Math.floor(ROWS / listening))
    const { cursor, rows } = await store.readUntold(limit)
    const last = rows.at(-1)
    if (!last) break
    // Read after the rows: an endpoint that is not among these begins to hear behind them.
    const endpoints = await enabledEndpoints(store)
    listening = endpoints.length
    if (listening === 0) break
    const deliveries = rows.flatMap((row) =>
      endpoints
        .filter(
          ({ workspaceId, afterN, types }) =>
            workspaceId === row.workspaceId && afterN < row.n && chooses(types, row.type),
        )
        .map(({ id }) => ({ ...row, id: newId('whd'), endpointId: id })),
    )
    await store.fanOut(cursor, last.n, deliveries, clock.now())
    if (rows.length < limit) break
  }
  return listening > 0
}
