import fc from 'fast-check'
import { newId } from '@troupe/protocol/ids'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RetentionPlace } from '../../src/store/retention.ts'
import type { SessionRow } from '../../src/store/session-row.ts'
import type { Store } from '../../src/store/store.ts'
import { change, sessionRow } from '../support/rows.ts'

/** What every store keeps about sessions whose time is over. `open` has a server that keeps sessions for `serverMs`. */
export function retentionContract(
  name: string,
  open: (serverMs: number | null) => Promise<{ store: Store; end(): Promise<void> }>,
) {
  describe(`the retention of ${name}`, () => {
    let harness: Awaited<ReturnType<typeof open>>
    let store: Store
    beforeEach(async () => {
      harness = await open(500)
      store = harness.store
    })
    afterEach(() => harness.end())

    const workspace = async (ttlMs: number | null | undefined) => {
      const id = newId('wrkspc')
      const retention = ttlMs === undefined ? null : { ttlMs }
      await store.keys.createWorkspace(
        { id, name: 'w', policy: {}, retention, createdAt: 1, updatedAt: 1, archivedAt: null },
        100,
      )
      return id
    }
    const create = async (fields: Partial<SessionRow>, at: number) => {
      const row = sessionRow({ ...fields, createdAt: 100, updatedAt: 100 })
      await store.createSession(row, change(row.id))
      await store.commit(change(row.id, { at }))
      return row.id
    }
    const all = async (at: number, workspaceId: string | null, step: number) => {
      const found: string[] = []
      for (let place: RetentionPlace | null = null; ;) {
        const { ids, next } = await store.retention.expired(at, workspaceId, place, step)
        found.push(...ids)
        if (next === null) return found.toSorted()
        place = next
      }
    }

    test('RT6 looked at in steps of any size, exactly those are found whose time is over', async () => {
      const ttls = { server: undefined, short: 50, forever: null, other: 5_000 }
      const workspaces = new Map<string, number | null>()
      for (const ttl of Object.values(ttls)) workspaces.set(await workspace(ttl), ttl === undefined ? 500 : ttl)
      const ids = [...workspaces.keys()]
      const session = fc.record({
        in: fc.nat(3),
        own: fc.constantFrom(
          undefined,
          { keep: true, ttlMs: 1 },
          { keep: false, ttlMs: null },
          { keep: false, ttlMs: 10 },
          {
            keep: false,
            ttlMs: 2_000,
          },
          { keep: false },
        ),
        status: fc.constantFrom('idle', 'idle', 'terminated', 'running') as fc.Arbitrary<SessionRow['status']>,
        at: fc.integer({ min: 100, max: 3_000 }),
      })
      await fc.assert(
        fc.asyncProperty(
          fc.array(session, { maxLength: 20 }),
          fc.nat(6_000),
          fc.integer({ min: 1, max: 7 }),
          async (sessions, now, step) => {
            const over: { id: string; workspaceId: string }[] = []
            const made: string[] = []
            for (const { in: n, own, status, at } of sessions) {
              const workspaceId = ids[n]!
              const { options } = sessionRow()
              const id = await create(
                { workspaceId, status, options: { ...options, ...(own && { retention: own }) } },
                at,
              )
              made.push(id)
              const ttl = own?.keep ? null : own?.ttlMs === undefined ? workspaces.get(workspaceId)! : own.ttlMs
              if (status !== 'running' && ttl !== null && at + ttl <= now) over.push({ id, workspaceId })
            }
            expect(await all(now, null, step)).toEqual(over.map(({ id }) => id).toSorted())
            for (const each of ids)
              expect(await all(now, each, step)).toEqual(
                over
                  .filter(({ workspaceId }) => workspaceId === each)
                  .map(({ id }) => id)
                  .toSorted(),
              )
            for (const id of made) await store.deleteSession(id, 5)
          },
        ),
        { numRuns: 60 },
      )
    })

    test('RT3 what is held, waits for a slot or for an answer is not found, and what is to be kept is not pruned', async () => {
      const id = await workspace(10)
      const mine = { workspaceId: id }
      await create({ ...mine, holder: 'node' }, 200)
      await create({ ...mine, queuedAt: 5 }, 200)
      const { options } = sessionRow()
      const kept = await create({ ...mine, options: { ...options, retention: { keep: true } } }, 200)
      const plain = await create(mine, 200)
      expect(await all(9_999, id, 10)).toEqual([plain])
      expect(await store.findPrunable(id, 9_999, ['idle'], 10, 'updated')).not.toContain(kept)
    })
  })
}
