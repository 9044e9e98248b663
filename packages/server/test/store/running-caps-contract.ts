import fc from 'fast-check'
import { newId } from '@troupe/protocol/ids'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ClaimLimits } from '../../src/store/leases.ts'
import type { SessionRow } from '../../src/store/session-row.ts'
import type { Store } from '../../src/store/store.ts'
import { change, keyRow, sessionRow } from '../support/rows.ts'

const FREE: ClaimLimits = { slots: 10_000, perKey: 10_000 }

/** What every store keeps of `max_running` of keys and workspaces. */
export function runningCapsContract(name: string, open: () => Promise<{ store: Store; end(): Promise<void> }>) {
  describe(`the running caps of ${name}`, () => {
    let harness: Awaited<ReturnType<typeof open>>
    let store: Store
    let at = 0

    beforeEach(async () => {
      harness = await open()
      store = harness.store
      at = 100
    })
    afterEach(() => harness.end())

    const workspace = async (max_running: number | null) => {
      const id = newId('wrkspc')
      const policy = max_running === null ? {} : { max_running }
      await store.keys.createWorkspace({ id, name: 'w', policy, createdAt: 1, updatedAt: 1, archivedAt: null }, 100)
      return id
    }
    const key = async (max_running: number | null, workspaceId = 'wrkspc_default') => {
      const row = keyRow({ workspaceId, policy: max_running === null ? {} : { max_running } })
      await store.keys.createKey(row, 100)
      return { principal: row.id, workspaceId }
    }
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
    const end = (id: string) =>
      store.commit(change(id, { session: { status: 'idle', holder: null, leaseUntil: null } }))
    const place = async (id: string, perKey = FREE.perKey) => store.queuePlace((await store.readSession(id))!, perKey)

    test('KP8 of one key no more sessions are held than its policy lets, whatever their concurrency_key and priority', async () => {
      const bounded = await key(2)
      const first = await enqueue({ ...bounded, priority: 9 })
      const second = await enqueue({ ...bounded, concurrencyKey: 'a', priority: 9 })
      const third = await enqueue({ ...bounded, concurrencyKey: 'b', priority: 9 })
      const other = await enqueue(await key(null))
      expect((await claimAll()).toSorted()).toEqual([first, second, other].toSorted())
      expect(await place(third)).toEqual({ position: 1, capped: 'policy' })
      await end(second)
      expect(await place(third)).toEqual({ position: 1, capped: null })
      expect(await claimAll()).toEqual([third])
      // What is held and joins the line again, as a session whose holder died, counts as long as it is held.
      await store.commit(change(third, { session: { holder: null, leaseUntil: null, queuedAt: at++ } }))
      expect(await claimAll()).toEqual([third])
    })

    test('KP8 of one workspace no more sessions are held than its policy lets, whosever they are', async () => {
      const small = await workspace(2)
      const sessions = [
        await enqueue(await key(null, small)),
        await enqueue(await key(5, small)),
        await enqueue(await key(null, small)),
      ]
      const other = await enqueue(await key(null, await workspace(null)))
      expect((await claimAll()).toSorted()).toEqual([...sessions.slice(0, 2), other].toSorted())
      expect(await place(sessions[2]!)).toEqual({ position: 1, capped: 'policy' })
      await store.keys.updateWorkspace(small, 5, { policy: { max_running: 3 } })
      expect(await place(sessions[2]!)).toEqual({ position: 1, capped: null })
      expect(await claimAll()).toEqual([sessions[2]])
    })

    test('KP8 many who claim at once go beyond no cap, and take all that none keeps back', async () => {
      const small = await workspace(3)
      const keys = [await key(2, small), await key(2, small), await key(null, small), await key(4), await key(null)]
      await Promise.all(
        Array.from({ length: 60 }, (_, n) => enqueue({ ...keys[n % 5]!, concurrencyKey: `c${Math.floor(n / 15)}` })),
      )
      const claims = await Promise.all(Array.from({ length: 80 }, (_, n) => claim({ perKey: 3 }, `node_${n % 4}`)))
      const taken = claims.filter((row) => row !== null)
      const of = (index: number) => taken.filter((row) => row.principal === keys[index]!.principal).length
      expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length)
      expect(of(0) + of(1) + of(2)).toBe(3)
      expect(Math.max(of(0), of(1))).toBeLessThanOrEqual(2)
      // Four concurrency keys with three each.
      expect([of(3), of(4)]).toEqual([4, 12])
    })

    test('KP9 the place that is told is the order in which sessions are taken, and who is kept back stands behind', async () => {
      const small = await workspace(3)
      const keys = [await key(1), await key(2), await key(null), await key(1, small), await key(null, small)]
      const session = fc.record({
        who: fc.nat(4),
        priority: fc.constantFrom(0, 0, 1, -1),
        concurrencyKey: fc.constantFrom(null, 'a', 'b'),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(session, { minLength: 1, maxLength: 25 }), fc.nat(6), async (sessions, before) => {
          const ids = await Promise.all(sessions.map(({ who, ...fields }) => enqueue({ ...keys[who]!, ...fields })))
          const limits = { perKey: 2 }
          const held: string[] = []
          for (let n = 0; n < before; n++) held.push((await claim(limits))?.id ?? '')
          const waiting = ids.filter((id) => !held.includes(id))
          const places = new Map<string, number>()
          for (const id of waiting) places.set(id, (await place(id, 2)).position)
          const views = await Promise.all(
            ['wrkspc_default', small].map((id) => store.readQueue(id, 1_000, limits.perKey)),
          )
          const line = views.flatMap(({ first }) => first).toSorted((a, b) => a.position - b.position)
          const order = await claimAll(limits)
          expect(order.map((id) => places.get(id))).toEqual(order.map((_, index) => index + 1))
          expect(line.map(({ position }) => position)).toEqual(line.map((_, index) => index + 1))
          expect(line.filter(({ capped }) => capped === null).map(({ id }) => id)).toEqual(order)
          for (const { id } of line.filter((entry) => entry.capped !== null))
            expect([id, (await place(id, 2)).capped]).toEqual([id, expect.stringMatching(/^(policy|concurrency_key)$/)])
          for (const { capped } of line.slice(order.length)) expect(capped).not.toBeNull()
          await Promise.all(ids.map((id) => store.deleteSession(id, 5)))
        }),
        { numRuns: 60 },
      )
    })
  })
}
