import { EVENT_TYPES, type SessionEvent } from '@troupe/protocol/event'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HOSTED_TYPES } from '../src/http/strict.ts'
import { all, counted, GENERATIONS, say, upTo } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

const require = createRequire(import.meta.url)
/** What the newest official SDK declares of sessions. */
const declared = readFileSync(
  join(dirname(require.resolve('anthropic-sdk-1.12')), 'resources/beta/sessions/events.d.ts'),
  'utf8',
)
const namesIn = (text: string) => [...text.matchAll(/'([a-z_.]+)'/g)].map(([, name]) => name!)

describe('?compat=strict', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())

  test('HC1 what is left of the events is what the official SDK declares, and nothing is left out that it does', () => {
    const union = new Set(namesIn(/type BetaManagedAgentsSessionEventType = (.*);/.exec(declared)![1]!))
    expect(union.size).toBeGreaterThan(30)
    expect(HOSTED_TYPES.filter((type) => !union.has(type))).toEqual([])
    expect(Object.keys(EVENT_TYPES).filter((type) => union.has(type) && !HOSTED_TYPES.includes(type))).toEqual([])
  })

  test('HC2 errors of a session are of the types that the official SDK declares', async () => {
    const errors = new Set(namesIn([...declared.matchAll(/type: '\w+_error';/g)].join(' ')))
    expect(errors.size).toBeGreaterThan(10)
    const { id } = await server.create('crash')
    await server.idle(id)
    const { data } = (await server.get(`/v1/sessions/${id}/events?compat=strict`)) as unknown as {
      data: SessionEvent[]
    }
    const told = data.filter(({ type }) => type === 'session.error') as unknown as { error: { type: string } }[]
    expect(told.length).toBeGreaterThan(0)
    expect(told.filter(({ error }) => !errors.has(error.type))).toEqual([])
    const last = (path: string) => server.get(path) as Promise<{ last_error: { type: string; code: string } }>
    const plain = await last(`/v1/sessions/${id}`)
    const strict = await last(`/v1/sessions/${id}?compat=strict`)
    expect(errors).toContain(strict.last_error.type)
    expect(strict.last_error.code).toBe(plain.last_error.code)
  })

  test('HC4 it is strict or left out, and an answer that is repeated is as strict as the first', async () => {
    const wrong = await server.request('GET', '/v1/sessions?compat=lenient')
    expect([wrong.status, wrong.body.code]).toEqual([400, 'validation_failed'])
    const { id } = await server.create('hold')
    await server.event(id, ({ type }) => type === 'agent.message')
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    await server.idle(id)
    const change = async (query: string) => {
      const { body, headers } = await server.request(
        'POST',
        `/v1/sessions/${id}${query}`,
        { title: 'Stopped' },
        { 'idempotency-key': `change${query}` },
      )
      return [body.stop_reason, headers.get('idempotent-replayed')]
    }
    expect(await change('')).toEqual([{ type: 'interrupted' }, null])
    expect(await change('?compat=strict')).toEqual([{ type: 'end_turn' }, null])
    expect(await change('?compat=strict')).toEqual([{ type: 'end_turn' }, 'true'])
    const { body } = await server.request('GET', `/v1/sessions/${id}/events?compat=strict&types[]=turn.started`)
    expect(body.data).toEqual([])
  })

  describe.each(GENERATIONS)('of the official SDK $version', ({ Client }) => {
    test('HC3 a client of the hosted API that asks strictly meets no stop reason and no event that it does not know', async () => {
      const client = new Client({ ...counted(server.url).options, defaultQuery: { compat: 'strict' } })
      const { sessions } = client.beta
      const session = await sessions.create({ agent: 'agent_default', environment_id: 'env_default' })
      await sessions.events.send(session.id, { events: [say('hold')] })
      const stream = await sessions.events.stream(session.id)
      let stopped = false
      const seen = await upTo(stream, ({ type }) => {
        if (type === 'agent.message' && !stopped) {
          stopped = true
          void sessions.events.send(session.id, { events: [{ type: 'user.interrupt' }] })
        }
        return type === 'session.status_idle'
      })
      const listed = await all(sessions.events.list(session.id, { limit: 2 }))
      expect(stopped).toBe(true)
      for (const events of [seen, listed]) {
        expect(events.filter(({ type }) => !HOSTED_TYPES.includes(type))).toEqual([])
        expect(events.at(-1)).toMatchObject({ type: 'session.status_idle', stop_reason: { type: 'end_turn' } })
      }
      const plain = (await server.get(`/v1/sessions/${session.id}/events?limit=1000`)) as unknown as {
        data: SessionEvent[]
      }
      expect(plain.data.map(({ type }) => type)).toContain('turn.started')
      expect(plain.data.at(-1)).toMatchObject({ stop_reason: { type: 'interrupted' } })
    })
  })
})
