import { newId } from '@troupe/protocol/ids'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEFAULT_WORKSPACE } from '../../src/sessions/caller.ts'
import type { Store } from '../../src/store/store.ts'
import { EndpointLimit, NoSuchWebhook, type WebhookStore } from '../../src/store/webhooks.ts'
import { change, event, sessionRow } from '../support/rows.ts'
import { endpointRow, newDelivery, noteOf } from '../support/webhook-rows.ts'

/** What every store keeps about webhooks; run on each one, like the contract of the rest. */
export function webhookContract(
  name: string,
  open: () => Promise<{ store: Store; reopen(): Promise<Store>; end(): Promise<void> }>,
) {
  describe(`the webhook part of the store contract on ${name}`, () => {
    let harness: Awaited<ReturnType<typeof open>>
    let store: Store
    let hooks: WebhookStore

    beforeEach(async () => {
      harness = await open()
      store = harness.store
      hooks = store.webhooks
    })
    afterEach(() => harness.end())

    const LIMIT = 32
    const add = async (fields = {}) => (await hooks.createEndpoint(endpointRow(fields), LIMIT)).id
    const session = async () => {
      const row = sessionRow()
      await store.createSession(row, change(row.id, { events: [event('session.created')] }))
      return row.id
    }
    const tell = async (id: string, type: string, at = 2_000) =>
      (await store.commit(change(id, { at, events: [event(type)] }))).events[0]!
    const untold = async () => (await hooks.readUntold(100)).rows.map(({ type }) => type)
    /** Queues everything for everyone who is named. */
    const fanOut = async (...endpointIds: string[]) => {
      const { cursor, rows } = await hooks.readUntold(100)
      const deliveries = rows.flatMap((row) =>
        endpointIds.map((endpointId) => ({ ...row, id: newId('whd'), endpointId })),
      )
      return hooks.fanOut(cursor, rows.at(-1)?.n ?? cursor, deliveries, 3_000)
    }
    const claim = (at: number, perEndpoint = 10, holder = 'a') =>
      hooks.claimDue({ holder, at, until: at + 60_000 }, perEndpoint, {})
    const log = async (endpointId: string) => (await hooks.listDeliveries(endpointId, {}, 'asc', 100, null)).rows

    test('Z6 an endpoint hears what is told after it was made or enabled, once, and each event has its own place', async () => {
      const id = await session()
      const first = await add()
      await tell(id, 'turn.started')
      const second = await add()
      const idle = await tell(id, 'session.status_idle')
      await tell(id, 'agent.message')
      expect(await untold()).toEqual(['turn.started', 'session.status_idle'])
      expect(await fanOut(first, second)).toBe(true)
      expect(await untold()).toEqual([])
      expect((await log(first)).map(({ type }) => type)).toEqual(['turn.started', 'session.status_idle'])
      expect(await log(second)).toMatchObject([
        {
          eventId: idle.id,
          type: 'session.status_idle',
          sessionId: id,
          seq: idle.seq,
          status: 'pending',
          nextAt: 3_000,
        },
      ])
      await hooks.updateEndpoint(second, 2_500, { status: 'disabled' })
      await tell(id, 'turn.completed')
      await fanOut(first, second)
      await hooks.updateEndpoint(second, 2_600, { status: 'enabled' })
      await fanOut(first, second)
      expect((await log(first)).map(({ type }) => type)).toContain('turn.completed')
      expect(await log(second)).toHaveLength(1)
    })

    test('Z6 of two fan-outs of the same rows one is done', async () => {
      const id = await session()
      const endpoint = await add()
      await tell(id, 'turn.started')
      expect((await Promise.all([fanOut(endpoint), fanOut(endpoint)])).sort()).toEqual([false, true])
      expect(await log(endpoint)).toHaveLength(1)
    })

    test('Z14 the sweep leaves what an endpoint has yet to be told, and takes what nobody waits for', async () => {
      const id = await session()
      await store.sweep({ idempotency: 0, outbox: 10_000 }, false)
      expect(await untold()).toEqual([])
      const endpoint = await add()
      await tell(id, 'turn.started', 1)
      await store.sweep({ idempotency: 0, outbox: 10_000 }, false)
      expect(await untold()).toEqual(['turn.started'])
      await fanOut(endpoint)
      expect(await hooks.readTold(DEFAULT_WORKSPACE, 0, 10, null, 10)).toHaveLength(1)
      await store.sweep({ idempotency: 0, outbox: 10_000 }, false)
      expect(await hooks.readTold(DEFAULT_WORKSPACE, 0, 10, null, 10)).toEqual([])
    })

    test('Z14 places in the outbox are never used again: after a sweep and a restart new events are heard', async () => {
      const id = await session()
      const endpoint = await add()
      await tell(id, 'turn.started')
      await fanOut(endpoint)
      await store.sweep({ idempotency: 0, outbox: 10_000 }, false)
      store = await harness.reopen()
      hooks = store.webhooks
      await tell(id, 'turn.completed')
      expect(await untold()).toEqual(['turn.completed'])
    })

    test('Z14 a deletion is told, and swallows nothing that was to be told before it', async () => {
      const id = await session()
      await add()
      await tell(id, 'session.status_idle')
      await store.deleteSession(id, 3_000)
      const { rows } = await hooks.readUntold(10)
      expect(rows).toMatchObject([
        { type: 'session.status_idle', sessionId: id, seq: 2 },
        { type: 'session.deleted', sessionId: id, seq: 0, occurredAt: 3_000 },
      ])
      expect(new Set(rows.map(({ eventId }) => eventId)).size).toBe(2)
    })

    test('Z7 a claim is one at a time, and its note counts only while it is the newest', async () => {
      const endpoint = await add()
      await hooks.queueAgain([newDelivery(endpoint)], 100)
      expect(await hooks.nextDue()).toBe(100)
      expect(await claim(99)).toEqual([])
      const [first] = await claim(100)
      expect(first).toMatchObject({ attemptCount: 1, claim: 1 })
      expect(await claim(100)).toEqual([])
      expect(await hooks.nextDue()).toBe(60_100)
      const [again] = await claim(60_100)
      expect(again).toMatchObject({ id: first!.id, attemptCount: 2, claim: 2 })
      await hooks.note(noteOf(first!))
      expect((await hooks.readDelivery(endpoint, first!.id))!.status).toBe('pending')
      await hooks.note(noteOf(again!))
      expect(await hooks.readDelivery(endpoint, first!.id)).toMatchObject({
        status: 'delivered',
        deliveredAt: 2_000,
        nextAt: null,
        attempts: [{ httpStatus: 200 }],
      })
      expect(await hooks.nextDue()).toBeNull()
    })

    test('Z7 what a dead server had claimed is due at the next start, and was not an attempt', async () => {
      const endpoint = await add()
      await hooks.queueAgain([newDelivery(endpoint)], 100)
      await claim(100, 10, 'dead')
      store = await harness.reopen()
      hooks = store.webhooks
      await hooks.releaseClaims('but', 'alive', 150)
      expect(await claim(150, 10, 'alive')).toMatchObject([{ attemptCount: 1 }])
      await hooks.releaseClaims('but', 'alive', 160)
      expect(await claim(160, 10, 'alive')).toEqual([])
      await hooks.releaseClaims('of', 'alive', 170)
      expect(await claim(170, 10, 'alive')).toHaveLength(1)
    })

    test('Z17 of each endpoint no more is claimed than it has places, oldest first', async () => {
      const [one, two] = [await add(), await add()]
      const queue = (endpoint: string, at: number) => hooks.queueAgain([newDelivery(endpoint)], at)
      for (const at of [30, 10, 20]) await queue(one, at)
      await queue(two, 40)
      const claimed = await hooks.claimDue({ holder: 'a', at: 50, until: 90 }, 2, { [two]: 1 })
      const queuedAt = (id: string) =>
        claimed.flatMap((delivery) => (delivery.endpointId === id ? [delivery.queuedAt] : [])).sort()
      expect([queuedAt(one), queuedAt(two)]).toEqual([[10, 20], [40]])
    })

    test('Z12 queued again, a delivery keeps its id and loses its count; one under way stays so', async () => {
      const endpoint = await add()
      const delivery = newDelivery(endpoint)
      const again = { ...delivery, id: newId('whd') }
      expect(await hooks.queueAgain([delivery], 100)).toBe(1)
      const [claimed] = await claim(100)
      expect(await hooks.queueAgain([again], 110)).toBe(0)
      await hooks.note(noteOf(claimed!))
      expect(await hooks.queueAgain([again], 120)).toBe(1)
      expect(await log(endpoint)).toMatchObject([
        { id: delivery.id, status: 'pending', attemptCount: 0, nextAt: 120, deliveredAt: null, attempts: [{}] },
      ])
    })

    test('Z10 an endpoint is disabled as failing only if nothing got through since the delivery was queued', async () => {
      const endpoint = await add()
      const failing = { status: 'failed', disable: 'failing' } as const
      await hooks.queueAgain([newDelivery(endpoint), newDelivery(endpoint)], 1_500)
      const [good, bad] = await claim(1_500)
      await hooks.note(noteOf(good!))
      expect(await hooks.note(noteOf(bad!, failing))).toBe(false)
      await hooks.queueAgain([newDelivery(endpoint)], 2_500)
      const [worse] = await claim(2_500)
      await tell(await session(), 'turn.started')
      expect(await hooks.note(noteOf(worse!, failing))).toBe(true)
      expect(await hooks.readEndpoint(endpoint)).toMatchObject({ status: 'disabled', disabledReason: 'failing' })
      expect((await hooks.readUntold(100)).rows.at(-1)).toMatchObject({
        type: 'webhook_endpoint.disabled',
        sessionId: endpoint,
      })
    })

    test('Z10 what waited for an endpoint before it was enabled anew does not disable it as failing', async () => {
      const endpoint = await add()
      await hooks.queueAgain([newDelivery(endpoint)], 100)
      await hooks.updateEndpoint(endpoint, 200, { status: 'disabled' })
      expect(await hooks.nextDue()).toBeNull()
      expect(await claim(200)).toEqual([])
      expect(await hooks.updateEndpoint(endpoint, 300, { status: 'enabled' })).toMatchObject({ disabledReason: null })
      const [claimed] = await claim(300)
      expect(await hooks.note(noteOf(claimed!, { status: 'failed', disable: 'failing' }))).toBe(false)
    })

    test('Z13 the log is listed by endpoint, filtered, and walked by its cursor', async () => {
      const [endpoint, other] = [await add(), await add()]
      const sessionId = newId('sesn')
      for (let at = 1; at <= 9; at++) await hooks.queueAgain([newDelivery(endpoint)], 1_000 + Math.floor(at / 2))
      await hooks.queueAgain([newDelivery(endpoint, { type: 'turn.failed', sessionId })], 2_000)
      await hooks.queueAgain([newDelivery(other)], 1_000)
      const all = await log(endpoint)
      expect(all).toHaveLength(10)
      const walked: string[] = []
      for (let from: { at: number; id: string } | null = null; ;) {
        const { rows, more } = await hooks.listDeliveries(endpoint, {}, 'desc', 3, from)
        walked.push(...rows.map(({ id }) => id))
        from = { at: rows.at(-1)!.createdAt, id: rows.at(-1)!.id }
        if (!more) break
      }
      expect(walked).toEqual(all.map(({ id }) => id).toReversed())
      const count = async (filter: Parameters<WebhookStore['listDeliveries']>[1]) =>
        (await hooks.listDeliveries(endpoint, filter, 'asc', 100, null)).rows.length
      expect(await count({ types: ['turn.failed'], sessionId, statuses: ['pending'] })).toBe(1)
      expect(await count({ statuses: ['delivered', 'failed'] })).toBe(0)
      expect(await count({ createdAt: { gt: 1_000, lte: 1_001 } })).toBe(2)
      expect(await hooks.readDelivery(other, all[0]!.id)).toBeNull()
    })

    test('Z13 the log is kept for its time; what still waits is kept longer, unless its endpoint is disabled', async () => {
      const endpoint = await add()
      await hooks.queueAgain([newDelivery(endpoint), newDelivery(endpoint)], 100)
      const [done] = await claim(100, 1)
      await hooks.note(noteOf(done!))
      await hooks.queueAgain([newDelivery(endpoint)], 500)
      expect(await hooks.purge(100, 10)).toBe(0)
      expect(await hooks.purge(200, 10)).toBe(1)
      expect(await log(endpoint)).toHaveLength(2)
      await hooks.updateEndpoint(endpoint, 600, { status: 'disabled' })
      expect(await hooks.purge(200, 10)).toBe(1)
      expect(await log(endpoint)).toMatchObject([{ createdAt: 500 }])
    })

    test('Z15 a deleted endpoint is gone at once, and its log in parts', async () => {
      const endpoint = await add({ url: 'https://secret.example/token' })
      await hooks.queueAgain([newDelivery(endpoint), newDelivery(endpoint), newDelivery(endpoint)], 100)
      await hooks.deleteEndpoint(endpoint, 200)
      expect(await hooks.readEndpoint(endpoint)).toBeNull()
      expect(await hooks.listEndpoints(null)).toEqual([])
      expect(await hooks.nextDue()).toBeNull()
      expect(await claim(300)).toEqual([])
      for (const dropped of [2, 1, 0]) expect(await hooks.purge(0, 2)).toBe(dropped)
      expect(await log(endpoint)).toEqual([])
      await expect(hooks.deleteEndpoint(endpoint, 300)).rejects.toThrow(NoSuchWebhook)
      await expect(hooks.rotateSecret(endpoint, 300, 'x', 1)).rejects.toThrow(NoSuchWebhook)
    })

    test('Z15 of endpoints created at once no more are made than there may be', async () => {
      const made = await Promise.allSettled(Array.from({ length: 5 }, () => hooks.createEndpoint(endpointRow(), 3)))
      expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
      for (const each of made) if (each.status === 'rejected') expect(each.reason).toBeInstanceOf(EndpointLimit)
    })

    test('Z16 what was done under an idempotency key is noted in the same transaction', async () => {
      const key = { principal: 'p', key: 'k' }
      await store.beginIdempotent('p', 'k', 'f', 5)
      await expect(hooks.rotateSecret('whk_none', 1, 's', 1, { ...key, result: 'no' })).rejects.toThrow(NoSuchWebhook)
      expect((await store.beginIdempotent('p', 'k', 'f', 5))!.effect).toBeNull()
      await hooks.createEndpoint(endpointRow(), LIMIT, { ...key, result: 'made' })
      expect((await store.beginIdempotent('p', 'k', 'f', 5))!.effect).toBe('made')
    })

    test('Z2 a rotation keeps the secret before, and only that one', async () => {
      const endpoint = await add({ secret: 'one' })
      await hooks.rotateSecret(endpoint, 10, 'two', 500)
      expect(await hooks.rotateSecret(endpoint, 20, 'three', 600)).toMatchObject({
        secret: 'three',
        previousSecret: 'two',
        previousUntil: 600,
      })
    })
  })
}
