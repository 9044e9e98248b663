import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEFAULT_WORKSPACE } from '../../src/sessions/caller.ts'
import type { ClaimLimits } from '../../src/store/leases.ts'
import { QueueFull } from '../../src/store/errors.ts'
import type { SessionRow } from '../../src/store/session-row.ts'
import type { Store } from '../../src/store/store.ts'
import { change, sessionRow } from '../support/rows.ts'

const FREE: ClaimLimits = { slots: 10_000, perKey: 10_000 }

/** What every store keeps about those who wait. */
export function queueContract(name: string, open: () => Promise<{ store: Store; end(): Promise<void> }>) {
  describe(`the queue of ${name}`, () => {
    let harness: Awaited<ReturnType<typeof open>>
    let store: Store
    let at = 0

    beforeEach(async () => {
      harness = await open()
      store = harness.store
      at = 100
    })
    afterEach(() => harness.end())

    const enqueue = async (fields: Partial<SessionRow> = {}) => {
      const row = sessionRow({ status: 'running', queuedAt: at++, ...fields })
      await store.createSession(row, change(row.id))
      return row.id
    }
    const claim = (limits: Partial<ClaimLimits> = {}, holder = 'node_a') =>
      store.claimNext(holder, 1_000_000, 2_000_000, { ...FREE, ...limits })
    const claimAll = async (limits: Partial<ClaimLimits> = {}) => {
      const ids: string[] = []
      for (let next = await claim(limits); next; next = await claim(limits)) ids.push(next.id)
      return ids
    }
    const end = (session: Pick<SessionRow, 'id'>) =>
      store.commit(change(session.id, { session: { status: 'idle', holder: null, leaseUntil: null } }))
    const place = async (id: string, perKey = FREE.perKey) => store.queuePlace((await store.readSession(id))!, perKey)

    test('J1 the highest priority is taken first, and within one the longest waiting', async () => {
      const usual = [await enqueue(), await enqueue()]
      const low = await enqueue({ priority: -100 })
      const high = [await enqueue({ priority: 7 }), await enqueue({ priority: 7 })]
      const highest = await enqueue({ priority: 100, concurrencyKey: 'team' })
      expect(await claimAll()).toEqual([highest, ...high, ...usual, low])
    })

    test('J2 within a priority the key with the fewest running is first', async () => {
      const many = [await enqueue({ concurrencyKey: 'a' }), await enqueue({ concurrencyKey: 'a' })]
      const third = await enqueue({ concurrencyKey: 'a' })
      const b = [await enqueue({ concurrencyKey: 'b' }), await enqueue({ concurrencyKey: 'b' })]
      const none = await enqueue()
      const other = await enqueue({ principal: 'someone', concurrencyKey: 'a' })
      expect(await claimAll()).toEqual([many[0], b[0], none, other, many[1], b[1], third])
    })

    test.each([1, 2, 3])('J3 1,000 waiting sessions are taken fairly per key to within one slot (%i)', async (seed) => {
      const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
      const sizes = fc.sample(fc.array(fc.nat(100), { minLength: 7, maxLength: 7 }), { seed, numRuns: 1 })[0]!
      const total = sizes.reduce((sum, size) => sum + size + 1, 0)
      const rows = keys.flatMap((concurrencyKey, n) =>
        Array.from({ length: Math.ceil(((sizes[n]! + 1) / total) * 1_000) }, () => concurrencyKey),
      )
      // The keys come one after another, so that first come first served would be as unfair as can be.
      await Promise.all(rows.map((concurrencyKey) => enqueue({ concurrencyKey })))
      const waiting = new Map(keys.map((key) => [key, rows.filter((row) => row === key).length]))
      const running: SessionRow[] = []
      const slots = 10
      const ends = fc.sample(fc.nat(1_000), { seed, numRuns: 5_000 })
      for (let taken = 0; taken < rows.length;) {
        for (let next = await claim({ slots }); next; next = await claim({ slots })) {
          running.push(next)
          waiting.set(next.concurrencyKey!, waiting.get(next.concurrencyKey!)! - 1)
          taken++
        }
        // Who has nobody waiting any more has no claim to a slot.
        const counts = keys
          .filter((key) => waiting.get(key)! > 0)
          .map((key) => running.filter((row) => row.concurrencyKey === key).length)
        const most = Math.max(...keys.map((key) => running.filter((row) => row.concurrencyKey === key).length))
        if (counts.length === keys.length) expect(most - Math.min(...counts)).toBeLessThanOrEqual(1)
        if (taken < rows.length) expect(running).toHaveLength(slots)
        for (let n = ends.pop()! % slots; n >= 0; n--) await end(running.splice(ends.pop()! % running.length, 1)[0]!)
      }
    })

    test('J4 of one concurrency_key no more run than its cap; those without one have no such cap', async () => {
      const first = await enqueue({ concurrencyKey: 'a', priority: 5 })
      const second = await enqueue({ concurrencyKey: 'a', priority: 5 })
      const free = [await enqueue(), await enqueue()]
      expect(await claimAll({ perKey: 1 })).toEqual([first, ...free])
      expect(await place(second, 1)).toEqual({ position: 1, capped: 'concurrency_key' })
      await end({ id: first })
      expect(await place(second, 1)).toEqual({ position: 1, capped: null })
      expect(await claimAll({ perKey: 1 })).toEqual([second])
    })

    test('J5 two who claim at once take each session once, and keep slots and caps', async () => {
      const ids = await Promise.all(Array.from({ length: 40 }, (_, n) => enqueue({ concurrencyKey: `key ${n % 4}` })))
      const claims = await Promise.all(
        Array.from({ length: 60 }, (_, n) => claim({ slots: 7, perKey: 3 }, n % 2 === 0 ? 'node_a' : 'node_b')),
      )
      const taken = claims.filter((row) => row !== null)
      expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length)
      // Four keys with three each are twelve; seven slots for each of two holders would be fourteen.
      expect(taken).toHaveLength(12)
      expect(taken.every(({ id }) => ids.includes(id))).toBe(true)
      for (const holder of ['node_a', 'node_b'])
        expect(taken.filter((row) => row.holder === holder).length).toBeLessThanOrEqual(7)
    })

    test('J29 a session in the line whose holder is gone is taken like the others, under a new epoch', async () => {
      const first = await enqueue({ holder: 'node_dead', leaseUntil: 500_000, epoch: 4 })
      const held = await enqueue({ holder: 'node_alive', leaseUntil: 3_000_000 })
      const second = await enqueue()
      expect(await claimAll()).toEqual([first, second])
      expect(await store.readSession(first)).toMatchObject({ epoch: 5, holder: 'node_a' })
      await store.commit(change(held, { session: { holder: null, leaseUntil: null } }))
      expect(await claimAll()).toEqual([held])
    })

    test('J6 the place that is told is the order in which sessions are taken', async () => {
      const session = fc.record({
        priority: fc.constantFrom(0, 0, 0, 1, -1),
        concurrencyKey: fc.constantFrom(null, 'a', 'b', 'c'),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(session, { minLength: 1, maxLength: 25 }), fc.nat(6), async (sessions, before) => {
          const ids = await Promise.all(sessions.map((fields) => enqueue(fields)))
          const held: (string | undefined)[] = []
          for (let n = 0; n < before; n++) held.push((await claim())?.id)
          const waiting = ids.filter((id) => !held.includes(id))
          const places = new Map(
            await Promise.all(waiting.map(async (id) => [id, (await place(id)).position] as const)),
          )
          const { first, depth } = await store.readQueue(DEFAULT_WORKSPACE, 1_000, FREE.perKey)
          expect(depth).toBe(waiting.length)
          const order = await claimAll()
          expect(order.map((id) => places.get(id))).toEqual(order.map((_, index) => index + 1))
          expect(first.map(({ id }) => id)).toEqual(order)
          await Promise.all(ids.map((id) => store.deleteSession(id, 5)))
          expect(await store.readQueue(DEFAULT_WORKSPACE, 10, 1)).toMatchObject({
            depth: 0,
            running: 0,
            keys: [],
            first: [],
          })
        }),
        { numRuns: 40 },
      )
    })

    test('J31 whatever happens to sessions, the sums of the line are those of the sessions', async () => {
      const step = fc.record({
        what: fc.constantFrom('join', 'join', 'claim', 'claim', 'end', 'rejoin', 'move', 'delete'),
        n: fc.nat(1_000),
        priority: fc.integer({ min: -1, max: 1 }),
        concurrencyKey: fc.constantFrom(null, 'a', 'b'),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const ids: string[] = []
          for (const { what, n, priority, concurrencyKey } of steps) {
            const id = ids[n % ids.length]
            if (what === 'join') ids.push(await enqueue({ priority, concurrencyKey }))
            else if (what === 'claim') await claim({ perKey: 2 })
            else if (id === undefined) continue
            else if (what === 'end') await store.commit(change(id, { session: { holder: null, queuedAt: null } }))
            else if (what === 'rejoin') await store.commit(change(id, { session: { holder: null, queuedAt: at++ } }))
            else if (what === 'move') await store.commit(change(id, { session: { priority, concurrencyKey } }))
            else await store.deleteSession(ids.splice(n % ids.length, 1)[0]!, at)
          }
          const sessions = await Promise.all(ids.map(async (id) => (await store.readSession(id))!))
          const waiting = sessions.filter(({ queuedAt }) => queuedAt !== null)
          const view = await store.readQueue(DEFAULT_WORKSPACE, 1_000, 1_000)
          expect(view.depth).toBe(waiting.length)
          expect(view.running).toBe(sessions.filter(({ holder }) => holder !== null).length)
          expect(view.first.map(({ id }) => id).sort()).toEqual(waiting.map(({ id }) => id).sort())
          expect(view.oldestQueuedAt).toBe(waiting.length > 0 ? Math.min(...waiting.map((row) => row.queuedAt!)) : null)
          for (const key of view.keys) {
            const same = sessions.filter((row) => row.concurrencyKey === key.concurrencyKey)
            expect(key.waiting).toBe(same.filter(({ queuedAt }) => queuedAt !== null).length)
            expect(key.running).toBe(same.filter(({ holder }) => holder !== null).length)
          }
          expect((await claimAll()).toSorted()).toEqual(waiting.map(({ id }) => id).sort())
          await Promise.all(ids.map((id) => store.deleteSession(id, at)))
        }),
        { numRuns: 60 },
      )
    })

    test('J7 a change of priority or key moves a session that waits, and its key with it', async () => {
      const first = await enqueue()
      const second = await enqueue()
      const third = await enqueue({ concurrencyKey: 'a' })
      await store.commit(change(third, { session: { priority: 9 } }))
      expect(await place(third)).toEqual({ position: 1, capped: null })
      await store.commit(change(second, { session: { concurrencyKey: 'b' } }))
      const { keys } = await store.readQueue(DEFAULT_WORKSPACE, 10, FREE.perKey)
      expect(keys.map(({ concurrencyKey, waiting }) => [concurrencyKey, waiting])).toEqual([
        [null, 1],
        ['a', 1],
        ['b', 1],
      ])
      expect(await claimAll()).toEqual([third, first, second])
    })

    test('J8 beyond the limit nothing joins the line, and what is refused leaves nothing', async () => {
      await enqueue()
      const row = sessionRow()
      const joins = change(row.id, { queueLimit: 1, session: { status: 'running', queuedAt: 5 } })
      await expect(store.createSession(row, joins)).rejects.toThrow(QueueFull)
      expect(await store.readSession(row.id)).toBeNull()
      await store.createSession(row, change(row.id))
      await expect(store.commit(joins)).rejects.toThrow(QueueFull)
      expect(await store.queueDepth()).toBe(1)
      await claimAll()
      await store.commit(joins)
      expect(await store.queueDepth()).toBe(1)
    })

    test('J9 who has waited longer than allowed is found, longest overdue first', async () => {
      await enqueue()
      const late = await enqueue({ queuedAt: 2_000, maxQueueMs: 1_000 })
      const later = await enqueue({ queuedAt: 1_000, maxQueueMs: 5_000 })
      const soon = await enqueue({ queuedAt: 1_000, maxQueueMs: 1_000 })
      expect(await store.findOverdue(1_999, 10)).toEqual({ ids: [], next: 2_000 })
      expect(await store.findOverdue(6_000, 10)).toMatchObject({ ids: [soon, late, later] })
      expect(await store.findOverdue(6_000, 1)).toMatchObject({ ids: [soon] })
      await claimAll()
      expect(await store.findOverdue(6_000, 10)).toEqual({ ids: [], next: null })
    })
  })
}
