import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../../src/lib/logger.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { EventLog } from '../../src/log/event-log.ts'
import { OUTBOX, Wakeups } from '../../src/log/wakeups.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import type { DeliveryRow, EndpointRow } from '../../src/store/webhooks.ts'
import { Deliverer, type DelivererParts } from '../../src/webhooks/deliverer.ts'
import type { Send, Sendable, SendResult } from '../../src/webhooks/send.ts'
import { change, event, sessionRow } from './rows.ts'
import { endpointRow } from './webhook-rows.ts'

export const answered = (httpStatus: number): SendResult => ({
  httpStatus,
  responseBody: '',
  error: null,
  refused: false,
})

/** A deliverer on a store of its own, with a clock that is set and a network that is played. */
export async function delivererBench(parts: Partial<DelivererParts> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-webhooks-'))
  const store = openSqliteStore(join(folder, 'troupe.db'))
  const hooks = store.webhooks
  const wakeups = new Wakeups()
  const log = new EventLog(store, wakeups)
  let now = 1_000_000
  let answer: Send = () => Promise.resolve(answered(200))
  const sent: Sendable[] = []
  let wake: (() => void)[] = []
  const warnings: object[] = []
  const logger: Logger = { ...silentLogger, warn: (fields) => void warnings.push(fields) }
  const make = () =>
    new Deliverer({
      store: hooks,
      wakeups,
      clock: { now: () => now },
      logger,
      version: '0',
      renderSession: (id) => Promise.resolve({ id }),
      random: () => 0.5,
      ...parts,
      send(sendable, signal) {
        sent.push(sendable)
        for (const each of wake.splice(0)) each()
        return answer(sendable, signal)
      },
    })
  let deliverer = make()
  await deliverer.start()
  const row = sessionRow()
  await store.createSession(row, change(row.id))
  const self = {
    store,
    hooks,
    log,
    sent,
    warnings,
    sessionId: row.id,
    /** What the use cases work with. */
    context: { store: hooks, wakeups, clock: { now: () => now }, allowPrivate: true },
    get now() {
      return now
    },
    answer(send: Send) {
      answer = send
    },
    /** Sets the clock, and has it looked at. */
    advance(to: number) {
      now = to
      wakeups.ring(OUTBOX)
    },
    endpoint: (fields: Partial<EndpointRow> = {}): Promise<EndpointRow> =>
      hooks.createEndpoint(endpointRow({ createdAt: now, ...fields }), 32),
    tell: (type = 'session.status_idle', count = 1) =>
      log.commit(change(row.id, { at: now, events: Array.from({ length: count }, () => event(type)) })),
    /** Resolves when so many requests have been sent. */
    async until(count: number) {
      while (sent.length < count) await new Promise<void>((resolve) => wake.push(resolve))
    },
    /** Resolves with the endpoint's deliveries once they are as wanted. Each end of an attempt rings. */
    async deliveries(endpointId: string, wanted: (rows: DeliveryRow[]) => boolean): Promise<DeliveryRow[]> {
      using wakeup = wakeups.subscribe(OUTBOX)
      for (;;) {
        const { rows } = await hooks.listDeliveries(endpointId, {}, 'asc', 10_000, null)
        if (wanted(rows)) return rows
        await wakeup.next(new AbortController().signal)
      }
    },
    async restart() {
      await deliverer.stop()
      deliverer = make()
      await deliverer.start()
    },
    async end() {
      wake = []
      await deliverer.stop()
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return self
}
