import { expect, test } from 'vitest'
import type { SessionChange } from '../src/store/session-change.ts'
import { StorageUnavailable } from '../src/store/errors.ts'
import type { Store } from '../src/store/store.ts'
import { testServer } from './support/server.ts'

/** A store that refuses changes while `fails` says so. */
function failing(fails: (change: SessionChange) => 'disk_full' | 'locked' | null) {
  return (store: Store): Store =>
    new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown
        if (typeof value !== 'function') return value
        if (name !== 'commit' && name !== 'createSession') return value.bind(target)
        return async (...args: unknown[]) => {
          const reason = fails(args.at(-1) as SessionChange)
          if (reason) throw new StorageUnavailable(reason, new Error('injected'))
          return value.apply(target, args)
        }
      },
    })
}

test('D7 a disk that fills up in mid-turn ends the turn with disk_full once it can be written, and the session goes on', async () => {
  let full = false
  let refused = 0
  const server = await testServer(
    {},
    {
      wrapStore: failing((change) => {
        const speaks = change.events?.some(({ type }) => type === 'agent.message')
        if (speaks) full = true
        if (!full) return null
        // The end of the turn is tried until there is room again.
        if (++refused === 4) full = false
        return refused <= 3 ? 'disk_full' : null
      }),
    },
  )
  const { id } = await server.create('say hello')
  const session = await server.idle(id)
  expect(refused).toBeGreaterThanOrEqual(3)
  expect(session).toMatchObject({ stop_reason: { type: 'retries_exhausted' }, last_error: { code: 'disk_full' } })
  await server.stop()
})

test('D8 a store that cannot be written refuses with 503 and says so; nothing half is left', async () => {
  let locked = false
  const server = await testServer({}, { wrapStore: failing(() => (locked ? 'locked' : null)) })
  const { id } = await server.create('say hello')
  await server.idle(id)
  locked = true
  const create = await server.request('POST', '/v1/sessions', {})
  expect(create).toMatchObject({ status: 503, body: { code: 'storage_unavailable' } })
  expect([create.headers.get('x-should-retry'), create.headers.get('retry-after')]).toEqual(['true', '2'])
  const send = await server.request('POST', `/v1/sessions/${id}/events`, {
    events: [{ type: 'user.message', content: 'say lost' }],
  })
  expect(send.status).toBe(503)
  locked = false
  expect(await server.turns(id)).toHaveLength(1)
  await server.send(id, 'say again')
  expect((await server.idle(id)).result!.text).toBe('again')
  await server.stop()
})
