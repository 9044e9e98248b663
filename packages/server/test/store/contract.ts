import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEFAULT_WORKSPACE } from '../../src/sessions/caller.ts'
import type { LedgerEntry } from '../../src/store/ledger.ts'
import { ExternalIdTaken, NoSuchSession, StaleEpoch, VersionConflict } from '../../src/store/errors.ts'
import { NO_USAGE } from '../../src/store/usage.ts'
import type { Store } from '../../src/store/store.ts'
import { change, event, sessionRow, threadRow, turnRow } from '../support/rows.ts'

/** Limits that limit nothing. */
const FREE = { slots: 1_000, perKey: 1_000 }

/** What every store keeps; run on each one. `open` gives an empty store, `reopen` the same one after a restart. */
export function storeContract(
  name: string,
  open: () => Promise<{ store: Store; reopen(): Promise<Store>; end(): Promise<void> }>,
) {
  describe(`the store contract on ${name}`, () => {
    let harness: Awaited<ReturnType<typeof open>>
    let store: Store

    beforeEach(async () => {
      harness = await open()
      store = harness.store
    })
    afterEach(() => harness.end())

    const create = async (fields = {}) => {
      const row = sessionRow(fields)
      await store.createSession(row, change(row.id, { events: [event('session.created')] }))
      return row.id
    }
    const seqs = async (id: string) => {
      const all: number[] = []
      for (;;) {
        const page = await store.readEvents(id, all.at(-1) ?? 0, 10_000)
        if (page.length === 0) return all
        all.push(...page.map(({ seq }) => seq))
      }
    }

    test('L1 a log has no gaps, whatever is appended at once and whatever is refused', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ events: fc.integer({ min: 0, max: 4 }), stale: fc.boolean() }), { maxLength: 30 }),
          async (appends) => {
            const id = await create()
            const results = await Promise.allSettled(
              appends.map(({ events, stale }) =>
                store.commit(
                  change(id, { epoch: stale ? 7 : 0, events: Array.from({ length: events }, () => event()) }),
                ),
              ),
            )
            const appended = appends.reduce((sum, { events, stale }) => sum + (stale ? 0 : events), 1)
            expect(await seqs(id)).toEqual(Array.from({ length: appended }, (_, index) => index + 1))
            expect(results.map(({ status }) => status)).toEqual(
              appends.map(({ stale }) => (stale ? 'rejected' : 'fulfilled')),
            )
          },
        ),
        { numRuns: 30 },
      )
    })

    test('M19 entries of the ledger are written with their change or not at all, once however often, and outlive the session', async () => {
      const id = await create()
      const entry = (fields: Partial<LedgerEntry> = {}): LedgerEntry => ({
        turnId: 'turn_1',
        model: 'big',
        day: '2026-11-23',
        sessionId: id,
        agentId: 'agent_1',
        principal: 'local',
        metadata: { team: 'red' },
        at: 5_000,
        usage: { ...NO_USAGE, inputTokens: 7, costUsd: 0.1, unreportedRequests: 1 },
        guessedUsd: 0.05,
        modelRequests: 2,
        ...fields,
      })
      await expect(store.commit(change(id, { epoch: 9, ledger: [entry()] }))).rejects.toThrow(StaleEpoch)
      expect(await store.readTurnLedger('turn_1')).toEqual([])
      const grown = entry({ usage: { ...NO_USAGE, inputTokens: 9, costUsd: 0.3 }, modelRequests: 3 })
      const other = entry({ model: 'small', metadata: {} })
      await store.commit(change(id, { ledger: [entry(), other] }))
      await store.commit(change(id, { ledger: [grown] }))
      await store.commit(change(id, { ledger: [grown] }))
      await store.deleteSession(id, 9_000)
      store = await harness.reopen()
      expect(await store.readTurnLedger('turn_1')).toEqual([grown, other])
      const sums = []
      for await (const some of store.sumUsage({ workspaceId: DEFAULT_WORKSPACE, sessionId: id }, ['metadata.team']))
        sums.push(...some)
      expect(sums.map(({ keys, usage, turns }) => [keys, usage.costUsd, turns])).toEqual([
        [[null], 0.1, 1],
        [['red'], 0.3, 1],
      ])
    })

    test('H15 threads are written with their change or not at all, listed by age and status, and erased with the session', async () => {
      const id = await create()
      const rows = [1, 2, 3].map((n) => threadRow(id, { createdAt: n, taskId: `t${n}` }))
      await store.commit(change(id, { newThreads: rows, events: [event('session.thread_created')] }))
      const lost = { newThreads: [threadRow(id)], epoch: 7 }
      await expect(store.commit(change(id, lost))).rejects.toThrow(StaleEpoch)
      const patch = {
        status: 'idle',
        stopReason: { type: 'end_turn' },
        usage: { ...NO_USAGE, outputTokens: 5 },
      } as const
      await store.commit(change(id, { at: 9_000, threads: [{ id: rows[1]!.id, patch }] }))
      expect(await store.readThread(id, rows[1]!.id)).toEqual({ ...rows[1], ...patch, updatedAt: 9_000 })
      expect(await store.readThread('sesn_other', rows[1]!.id)).toBeNull()
      const ids = async (...page: Parameters<Store['listThreads']>) => {
        const { rows: found, more } = await store.listThreads(...page)
        return [...found.map((row) => rows.findIndex((known) => known.id === row.id)), more]
      }
      expect(await ids(id, undefined, 'asc', 2, null)).toEqual([0, 1, true])
      expect(await ids(id, undefined, 'asc', 2, { at: 2, id: rows[1]!.id })).toEqual([2, false])
      expect(await ids(id, undefined, 'desc', 3, null)).toEqual([2, 1, 0, false])
      expect(await ids(id, ['running'], 'asc', 9, null)).toEqual([0, 2, false])
      expect(await ids(id, [], 'asc', 9, null)).toEqual([false])
      const state = await store.readSessionState(id)
      expect(state!.openThreads!.map((row) => row.id)).toEqual([rows[0]!.id, rows[2]!.id])
      await store.deleteSession(id, 10_000)
      expect((await store.listThreads(id, undefined, 'asc', 9, null)).rows).toEqual([])
    })

    test('H1 events are listed by thread: one subagent, or what is not inside of any', async () => {
      const id = await create()
      const of = (type: string, threadId: string | null) => ({ ...event(type), threadId })
      await store.commit(
        change(id, {
          events: [
            of('agent.message', null),
            of('session.thread_created', 'sthr_a'),
            of('agent.message', 'sthr_a'),
            of('agent.message', 'sthr_b'),
          ],
        }),
      )
      const seqs = async (threadId: string | null | undefined, order: 'asc' | 'desc' = 'asc') =>
        (await store.listEvents(id, { threadId }, order, 10)).rows.map(({ seq }) => seq)
      expect(await seqs('sthr_a')).toEqual([3, 4])
      expect(await seqs(null)).toEqual([1, 2, 3])
      expect(await seqs(null, 'desc')).toEqual([3, 2, 1])
      expect(await seqs(undefined)).toEqual([1, 2, 3, 4, 5])
    })

    test('L2 one change is whole: events, session, turn, messages and outbox, or none of them', async () => {
      const id = await create()
      const turn = turnRow(id)
      await store.commit(
        change(id, { newTurns: [turn], session: { status: 'running' }, events: [event('turn.started')] }),
      )
      const doomed = store.commit(
        change(id, {
          session: { status: 'idle', title: 'never' },
          // A turn number that is taken breaks the change after its session part was written.
          newTurns: [turnRow(id, { number: 1 })],
          events: [event()],
          messages: [{ turnId: null, body: '{}' }],
        }),
      )
      await expect(doomed).rejects.toThrow()
      const state = (await store.readSessionState(id))!
      expect(state.session).toMatchObject({ status: 'running', title: null, lastSeq: 2, messageCount: 0, version: 1 })
      expect(state.openTurns).toEqual([turn])
      expect(await store.readMessages(id, 0, 10)).toEqual([])
    })

    test('L3 an old epoch cannot append, and says so', async () => {
      const id = await create({ status: 'running', queuedAt: 5 })
      const claimed = (await store.claimNext('node_a', 10, 20, FREE))!
      expect(claimed).toMatchObject({ id, epoch: 1, holder: 'node_a', queuedAt: null })
      await store.seize(id, 'node_b', 99)
      await expect(store.commit(change(id, { epoch: 1, events: [event()] }))).rejects.toThrow(StaleEpoch)
      await store.commit(change(id, { epoch: 2, events: [event()] }))
      expect(await seqs(id)).toEqual([1, 2])
    })

    test('L5 a decision made on an old version is refused; a mere append does not make it old', async () => {
      const id = await create()
      await store.commit(change(id, { events: [event()] }))
      await store.commit(change(id, { version: 0, session: { title: 'first' } }))
      await expect(store.commit(change(id, { version: 0, session: { title: 'second' } }))).rejects.toThrow(
        VersionConflict,
      )
      expect((await store.readSession(id))!.title).toBe('first')
    })

    test('R1 of many claims at once each waiting session is taken once, oldest first', async () => {
      const ids: string[] = []
      for (let index = 0; index < 5; index++) ids.push(await create({ status: 'running', queuedAt: 100 + index }))
      const fourth = await store.readSession(ids[3]!)
      expect(await store.queuePlace(fourth!, 9)).toEqual({ position: 4, capped: null })
      const claims = await Promise.all(Array.from({ length: 8 }, () => store.claimNext('node_a', 200, 300, FREE)))
      expect(claims.flatMap((claim) => (claim ? [claim.id] : []))).toEqual(ids)
      expect(await store.queueDepth()).toBe(0)
      expect((await store.findHeld()).sort()).toEqual(ids.sort())
    })

    test('S1 an input that was taken is listed once, newest form, at its first seq; a tail sees both', async () => {
      const id = await create()
      const input = event('user.message', { processedAt: null, body: { content: 'hi' } })
      await store.commit(change(id, { events: [input, event()] }))
      await store.commit(change(id, { at: 3_000, events: [{ ...input, processedAt: 3_000, repeats: 2 }] }))
      const { rows } = await store.listEvents(id, {}, 'asc', 100)
      expect(rows.map(({ seq, processedAt }) => [seq, processedAt])).toEqual([
        [1, 1_000],
        [2, 3_000],
        [3, 1_000],
      ])
      expect(await seqs(id)).toEqual([1, 2, 3, 4])
      expect(await store.readEvent(id, input.id)).toMatchObject({ seq: 2, processedAt: 3_000 })
    })

    test('L6 a page of a tail is bounded by size as well as by number, and is empty only at the end', async () => {
      const id = await create()
      const big = () => event('agent.message', { body: { text: 'x'.repeat(600_000) } })
      await store.commit(change(id, { events: [big(), big(), big()] }))
      expect((await store.readEvents(id, 0, 100)).map(({ seq }) => seq)).toEqual([1, 2, 3])
      expect((await store.readEvents(id, 3, 100)).map(({ seq }) => seq)).toEqual([4])
      expect((await store.readEvents(id, 0, 2)).map(({ seq }) => seq)).toEqual([1, 2])
      expect(await seqs(id)).toEqual([1, 2, 3, 4])
    })

    test('S2 a list walked by its cursor shows each session once, in either direction', async () => {
      const ids: string[] = []
      for (let index = 0; index < 23; index++) ids.push(await create({ createdAt: 1_000 + Math.floor(index / 3) }))
      const sorted = [...ids].sort()
      for (const order of ['asc', 'desc'] as const) {
        const walked: string[] = []
        let from: { at: number; id: string; backward: boolean } | null = null
        for (;;) {
          const { rows, more } = await store.listSessions({ workspaceId: DEFAULT_WORKSPACE }, order, 4, from)
          walked.push(...rows.map(({ id }) => id))
          const last = rows.at(-1)!
          from = { at: last.createdAt, id: last.id, backward: false }
          if (!more) break
        }
        expect(walked).toEqual(order === 'asc' ? sorted : sorted.toReversed())
      }
      const { rows: page } = await store.listSessions({ workspaceId: DEFAULT_WORKSPACE }, 'asc', 4, null)
      const { rows: next } = await store.listSessions({ workspaceId: DEFAULT_WORKSPACE }, 'asc', 4, {
        at: page[3]!.createdAt,
        id: page[3]!.id,
        backward: false,
      })
      const { rows: back } = await store.listSessions({ workspaceId: DEFAULT_WORKSPACE }, 'asc', 4, {
        at: next[0]!.createdAt,
        id: next[0]!.id,
        backward: true,
      })
      expect(back).toEqual(page)
    })

    test('S3 filters of a list hold, alone and together', async () => {
      const running = await create({ status: 'running', createdAt: 10 })
      const archived = await create({ status: 'terminated', archivedAt: 30, createdAt: 20 })
      const stopped = await create({ stopReason: { type: 'interrupted' }, createdAt: 30, externalId: 'x' })
      const ids = async (filter: Omit<Parameters<Store['listSessions']>[0], 'workspaceId'>) =>
        (await store.listSessions({ workspaceId: DEFAULT_WORKSPACE, ...filter }, 'asc', 100, null)).rows.map(
          ({ id }) => id,
        )
      expect(await ids({})).toEqual([running, stopped])
      expect(await ids({ includeArchived: true })).toEqual([running, archived, stopped])
      expect(await ids({ statuses: ['running'] })).toEqual([running])
      expect(await ids({ stopReasons: ['interrupted'] })).toEqual([stopped])
      expect(await ids({ externalId: 'x', createdAt: { gt: 10, lte: 30 } })).toEqual([stopped])
      expect(await ids({ agentId: 'agent_other' })).toEqual([])
      expect(await store.countSessions({ workspaceId: DEFAULT_WORKSPACE, includeArchived: true })).toBe(3)
    })

    test('S4 an external_id belongs to one session until that is archived', async () => {
      const first = await create({ externalId: 'issue-42' })
      await expect(create({ externalId: 'issue-42' })).rejects.toThrow(ExternalIdTaken)
      expect((await store.findByExternalId(DEFAULT_WORKSPACE, 'issue-42'))!.id).toBe(first)
      await store.commit(change(first, { session: { archivedAt: 5, status: 'terminated' } }))
      const second = await create({ externalId: 'issue-42' })
      expect((await store.findByExternalId(DEFAULT_WORKSPACE, 'issue-42'))!.id).toBe(second)
    })

    test('S5 a deleted session leaves a tombstone and nothing else; a late transcript does not bring it back', async () => {
      const id = await create()
      const kept = await create()
      await store.commit(change(id, { newTurns: [turnRow(id)], messages: [{ turnId: null, body: '{}' }] }))
      await store.appendTranscript(id, '', [{ uuid: 'a', body: '{}' }])
      await store.deleteSession(id, 9)
      await store.appendTranscript(id, '', [{ uuid: 'b', body: '{}' }])
      expect(await store.readSession(id)).toBeNull()
      expect(await store.isDeleted(id)).toBe(true)
      expect(await seqs(id)).toEqual([])
      expect(await store.loadTranscript(id, '')).toEqual([])
      expect((await store.listTurns(id, 'asc', 10, null)).rows).toEqual([])
      await expect(store.commit(change(id, { events: [event()] }))).rejects.toThrow(NoSuchSession)
      expect(await seqs(kept)).toEqual([1])
    })

    test('T1 a transcript keeps its order, takes each uuid once, and subagents have their own', async () => {
      const id = await create()
      expect(await store.hasTranscript(id)).toBe(false)
      await store.appendTranscript(id, '', [
        { uuid: 'a', body: '1' },
        { uuid: null, body: '2' },
      ])
      await store.appendTranscript(id, '', [
        { uuid: 'a', body: 'again' },
        { uuid: 'b', body: '3' },
      ])
      await store.appendTranscript(id, 'agents/x', [{ uuid: 'a', body: 'x' }])
      expect(await store.hasTranscript(id)).toBe(true)
      expect(await store.loadTranscript(id, '')).toEqual(['1', '2', '3'])
      expect(await store.loadTranscript(id, 'agents/x')).toEqual(['x'])
      expect(await store.listTranscripts(id)).toEqual(['agents/x'])
    })

    test('I1 an idempotency key is claimed once; its effect is committed with the change it belongs to', async () => {
      const claims = await Promise.all([1, 2, 3].map(() => store.beginIdempotent('p', 'k', 'f', 5)))
      expect(claims.filter((claim) => claim === null)).toHaveLength(1)
      const id = await create()
      await expect(
        store.commit(change(id, { epoch: 9, effect: { principal: 'p', key: 'k', result: 'done' } })),
      ).rejects.toThrow(StaleEpoch)
      expect((await store.beginIdempotent('p', 'k', 'f', 5))!.effect).toBeNull()
      await store.commit(change(id, { effect: { principal: 'p', key: 'k', result: 'done' } }))
      await store.abandonIdempotent('p', 'k')
      expect((await store.beginIdempotent('p', 'k', 'f', 5))!).toMatchObject({ state: 'running', effect: 'done' })
      await store.finishIdempotent('p', 'k', 200, 'body')
      expect((await store.beginIdempotent('p', 'k', 'f', 5))!).toMatchObject({
        state: 'done',
        status: 200,
        body: 'body',
      })
      await store.sweep({ idempotency: 6, outbox: 6 }, false)
      expect(await store.beginIdempotent('p', 'k', 'f', 7)).toBeNull()
    })

    test('D1 what was resolved is there after a restart; at boot, claims that did nothing are free again', async () => {
      const id = await create({ metadata: { a: 'b' }, title: 'täst 日本' })
      await store.beginIdempotent('p', 'k', 'f', 5)
      const before = await store.readSession(id)
      store = await harness.reopen()
      await store.sweep({ idempotency: 0, outbox: 0 }, true)
      expect(await store.readSession(id)).toEqual(before)
      expect(await seqs(id)).toEqual([1])
      expect(await store.beginIdempotent('p', 'k', 'f', 5)).toBeNull()
    })

    test('P1 what may be pruned has ended long enough ago and does not run', async () => {
      const old = await create({ updatedAt: 10, endedAt: 10 })
      await create({ updatedAt: 10, endedAt: 10, status: 'running' })
      const never = await create({ updatedAt: 10, endedAt: null })
      const touch = (id: string, at: number) => store.commit(change(id, { at }))
      await Promise.all([touch(old, 10), touch(never, 10)])
      expect(await store.findPrunable(DEFAULT_WORKSPACE, 50, ['idle', 'terminated'], 10, 'ended')).toEqual([old])
      expect((await store.findPrunable(DEFAULT_WORKSPACE, 50, ['idle'], 10, 'updated')).sort()).toEqual(
        [old, never].sort(),
      )
    })
  })
}
