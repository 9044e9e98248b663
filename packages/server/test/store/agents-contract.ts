import { newId } from '@troupe/protocol/ids'
import type { AgentDefinition } from '@troupe/protocol/saved-agent'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineAgent } from '../../src/agents/resolve-agent.ts'
import { AgentChanged, AgentLimit, type AgentStore } from '../../src/store/agents.ts'
import type { Store } from '../../src/store/store.ts'

/** What every store keeps about saved agents. */
export function agentsContract(
  name: string,
  open: () => Promise<{ store: Store; reopen(): Promise<Store>; end(): Promise<void> }>,
) {
  describe(`the agents of the store contract on ${name}`, () => {
    let harness: Awaited<ReturnType<typeof open>>
    let agents: AgentStore
    beforeEach(async () => {
      harness = await open()
      agents = harness.store.agents
    })
    afterEach(() => harness.end())

    const called = (text: string): AgentDefinition => defineAgent({}, text)
    const add = (fields: Partial<Parameters<AgentStore['create']>[0]> = {}, limit = 100) =>
      agents.create(
        {
          id: newId('agent'),
          workspaceId: 'wrkspc_a',
          definition: called('one'),
          source: 'api',
          file: null,
          contentHash: null,
          createdAt: 1_000,
          ...fields,
        },
        limit,
      )
    const next = (id: string, from: number, text: string, workspaceId = 'wrkspc_a', limit = 100) =>
      agents.addVersion(workspaceId, id, { from, definition: called(text), contentHash: null, at: 2_000 }, limit)

    test('AG1 a version stays as it was written, over later versions, archiving and a restart', async () => {
      const { id } = await add()
      await next(id, 1, 'two')
      await agents.archive('wrkspc_a', id, 3_000)
      agents = (await harness.reopen()).agents
      const first = { version: 1, newest: 2, definition: called('one'), createdAt: 1_000, updatedAt: 1_000 }
      expect(await agents.read('wrkspc_a', id, 1)).toMatchObject(first)
      const second = { version: 2, definition: called('two'), createdAt: 1_000, updatedAt: 2_000, archivedAt: 3_000 }
      expect(await agents.read('wrkspc_a', id)).toMatchObject(second)
      expect(await agents.read('wrkspc_a', id, 3)).toBeNull()
      const { rows, more } = await agents.versions('wrkspc_a', id, 'desc', 1, null)
      expect([rows.map(({ version }) => version), more]).toEqual([[2], true])
      const rest = await agents.versions('wrkspc_a', id, 'desc', 1, 2)
      expect([rest.rows.map(({ version }) => version), rest.more]).toEqual([[1], false])
    })

    test('AG2 of many versions made from the same one exactly one is kept, and none of an archived agent', async () => {
      const { id } = await add()
      const made = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => next(id, 1, `by ${n}`)))
      expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      for (const each of made) if (each.status === 'rejected') expect(each.reason).toBeInstanceOf(AgentChanged)
      expect((await agents.read('wrkspc_a', id))!.newest).toBe(2)
      await agents.archive('wrkspc_a', id, 3_000)
      await expect(next(id, 2, 'late')).rejects.toBeInstanceOf(AgentChanged)
      expect((await agents.archive('wrkspc_a', id, 9_000))!.archivedAt).toBe(3_000)
      expect((await agents.archive('wrkspc_a', id, null))!.archivedAt).toBeNull()
    })

    test('AG3 an agent is seen, changed and counted in its own workspace only', async () => {
      const { id } = await add({}, 1)
      await expect(add({}, 1)).rejects.toBeInstanceOf(AgentLimit)
      await add({ workspaceId: 'wrkspc_b' }, 1)
      expect(await agents.read('wrkspc_b', id)).toBeNull()
      expect(await agents.archive('wrkspc_b', id, 5)).toBeNull()
      await expect(next(id, 1, 'theirs', 'wrkspc_b')).rejects.toBeInstanceOf(AgentChanged)
      expect((await agents.versions('wrkspc_b', id, 'asc', 10, null)).rows).toEqual([])
      expect((await agents.list({ workspaceId: 'wrkspc_b' }, 'asc', 10, null)).rows.map((row) => row.id)).not.toContain(
        id,
      )
      await expect(next(id, 1, 'too many', 'wrkspc_a', 1)).rejects.toBeInstanceOf(AgentLimit)
      expect(await agents.read('wrkspc_a', id)).toMatchObject({ newest: 1, archivedAt: null })
    })

    test('AG4 a list of agents is walked in either order, by time of making, with or without archived ones', async () => {
      const ids: string[] = []
      for (let n = 0; n < 5; n++) ids.push((await add({ createdAt: 1_000 + Math.floor(n / 2) })).id)
      await agents.archive('wrkspc_a', ids[2]!, 9_000)
      const walk = async (order: 'asc' | 'desc', filter: object) => {
        const seen: string[] = []
        let after: { at: number; id: string } | null = null
        for (;;) {
          const { rows, more } = await agents.list({ workspaceId: 'wrkspc_a', ...filter }, order, 2, after)
          seen.push(...rows.map((row) => row.id))
          const last = rows.at(-1)
          if (!more || !last) return seen
          after = { at: last.createdAt, id: last.id }
        }
      }
      expect(await walk('asc', { includeArchived: true })).toEqual(ids)
      expect(await walk('desc', { includeArchived: true })).toEqual(ids.toReversed())
      expect(await walk('asc', {})).toEqual(ids.filter((id) => id !== ids[2]))
      expect(await walk('asc', { createdAt: { gt: 1_000, lte: 1_001 }, includeArchived: true })).toEqual(
        ids.slice(2, 4),
      )
      expect(await walk('asc', { createdAt: { gte: 1_001, lt: 1_002 } })).toEqual([ids[3]])
    })
  })
}
