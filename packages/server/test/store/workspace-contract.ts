import { newId } from '@troupe/protocol/ids'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SessionRow } from '../../src/store/session-row.ts'
import type { Store } from '../../src/store/store.ts'
import { change, event, sessionRow } from '../support/rows.ts'
import { endpointRow } from '../support/webhook-rows.ts'

const [A, B] = ['wrkspc_a', 'wrkspc_b']

/** What every store keeps about workspaces. */
export function workspaceContract(name: string, open: () => Promise<{ store: Store; end(): Promise<void> }>) {
  describe(`the workspaces of ${name}`, () => {
    let harness: Awaited<ReturnType<typeof open>>
    let store: Store

    beforeEach(async () => {
      harness = await open()
      store = harness.store
    })
    afterEach(() => harness.end())

    async function create(workspaceId: string, fields: Partial<SessionRow> = {}): Promise<string> {
      const row = sessionRow({ workspaceId, ...fields })
      await store.createSession(row, change(row.id, { events: [event('session.created')] }))
      return row.id
    }

    test('KE1 lists, counts and prunes keep to one workspace', async () => {
      const mine = await create(A, { endedAt: 5 })
      const other = await create(B, { endedAt: 5 })
      const { rows } = await store.listSessions({ workspaceId: A, includeArchived: true }, 'asc', 10, null)
      expect(rows.map(({ id }) => id)).toEqual([mine])
      expect(await store.countSessions({ workspaceId: B })).toBe(1)
      expect(await store.findPrunable(A, 9_999, ['idle'], 10, 'ended')).toEqual([mine])
      expect((await store.findPrunable(null, 9_999, ['idle'], 10, 'ended')).toSorted()).toEqual(
        [mine, other].toSorted(),
      )
    })

    test('KE2 an external_id is taken once in each workspace', async () => {
      const mine = await create(A, { externalId: 'x' })
      const other = await create(B, { externalId: 'x' })
      expect((await store.findByExternalId(A, 'x'))!.id).toBe(mine)
      expect((await store.findByExternalId(B, 'x'))!.id).toBe(other)
      expect(await store.findByExternalId('wrkspc_c', 'x')).toBeNull()
    })

    test('KE3 it is known whose a session was after it is gone', async () => {
      const id = await create(A)
      expect(await store.workspaceOf(id)).toBe(A)
      await store.deleteSession(id, 10)
      expect(await store.workspaceOf(id)).toBe(A)
      expect(await store.workspaceOf(newId('sesn'))).toBeNull()
    })

    test('KE4 the line shows a workspace its own sessions, at their places among all', async () => {
      await create(A, { principal: 'a', status: 'running', queuedAt: 1 })
      const mine = await create(B, { principal: 'b', status: 'running', queuedAt: 2 })
      const view = await store.readQueue(B, 10, 10)
      expect(view).toMatchObject({ depth: 1, running: 0, oldestQueuedAt: 2, keys: [{ principal: 'b', waiting: 1 }] })
      expect(view.first.map(({ id, position }) => [id, position])).toEqual([[mine, 2]])
      expect(await store.readQueue('wrkspc_c', 10, 10)).toEqual({
        depth: 0,
        running: 0,
        oldestQueuedAt: null,
        keys: [],
        first: [],
      })
    })

    test('KE5 what an answer allowed for an agent counts in its workspace alone', async () => {
      const id = await create(A)
      const grant = { id: newId('grant'), sessionId: null, agentId: 'agent_default', rule: 'Bash', actor: null }
      await store.commit(change(id, { grants: [{ ...grant, createdAt: 1 }] }))
      expect(await store.approvals.grants(A, 'agent_default', null)).toHaveLength(1)
      expect(await store.approvals.grants(B, 'agent_default', null)).toEqual([])
      expect(await store.approvals.deleteGrant(B, grant.id)).toBe(false)
      expect(await store.approvals.deleteGrant(A, grant.id)).toBe(true)
    })

    test('KE6 the outbox says whose an event is, of a deleted session too', async () => {
      const id = await create(A)
      await store.webhooks.createEndpoint(endpointRow({ workspaceId: B }), 1)
      await store.webhooks.createEndpoint(endpointRow({ workspaceId: A }), 1)
      await store.deleteSession(id, 10)
      const { rows } = await store.webhooks.readUntold(10)
      expect(rows).toMatchObject([{ type: 'session.deleted', workspaceId: A }])
      expect(await store.webhooks.readTold(B, 0, 9_999, null, 10)).toEqual([])
      expect(await store.webhooks.listEndpoints(A)).toHaveLength(1)
    })
  })
}
