import type { Logger } from '../lib/logger.ts'
import { systemResolver } from '../lib/system-resolver.ts'
import type { Admission } from '../sessions/queue-status.ts'
import { sessionToWire } from '../sessions/session-status.ts'
import type { Store } from '../store/store.ts'
import { traceHeaders } from '../tracing/trace-headers.ts'
import { Deliverer } from '../webhooks/deliverer.ts'
import type { WebhookContext } from '../webhooks/endpoints.ts'
import { sender } from '../webhooks/send.ts'

export interface DelivererNeeds {
  store: Store
  logger: Logger
  version: string
  /** Whether turns are told as traces. */
  traced: boolean
  admission: () => Admission
}

/** Who tells endpoints, still at rest. */
export function buildDeliverer(webhooks: WebhookContext, parts: DelivererNeeds): Deliverer {
  const { store, logger, version, traced, admission } = parts
  const { clock, allowPrivate } = webhooks
  return new Deliverer({
    ...webhooks,
    logger,
    version,
    send: sender({ allowPrivate, resolve: systemResolver() }),
    traceHeaders: (event) => traceHeaders(store, event, traced),
    async renderSession(id) {
      const session = await store.readSession(id)
      return session && sessionToWire(store, session, clock.now(), admission())
    },
  })
}
