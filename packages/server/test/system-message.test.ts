import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import type { SessionEvent } from '@troupe/protocol/event'
import { afterEach, describe, expect, test } from 'vitest'
import { counted, GENERATIONS, say } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

const note = (text: string) => ({ type: 'system.message', content: [{ type: 'text', text }] })
const message = (content: string, more: object = {}) => ({ type: 'user.message', content, ...more })
const NOTE = 'The user is a surgeon: use the exact terms.'

describe('system.message', () => {
  let model: DemoModel
  let server: TestServer
  const start = async (flags: object = {}) => {
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on', live_seconds: 300, ...flags },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  }
  afterEach(async () => {
    await server?.stop()
    await model?.close()
  })
  const send = (id: string, ...events: object[]) => server.request('POST', `/v1/sessions/${id}/events`, { events })
  const events = async (id: string, type: string) =>
    (await server.request('GET', `/v1/sessions/${id}/events?types[]=${type}`)).body.data as SessionEvent[]
  /** What the system told the model in the newest request of a session, of all that the agent adds by itself. */
  const told = (uuid: string, text = NOTE) =>
    model.requests
      .list(uuid)
      .at(-1)!
      .systemMessages.filter((said) => said.includes(text)).length

  test('SY1 the genuine agent tells its model what comes with a message as the system, once, and knows it ever after', async () => {
    await start()
    const { id, uuid } = await server.create('one')
    await server.idle(id)
    expect(told(uuid)).toBe(0)
    expect((await send(id, message('And now?'), note(NOTE))).status).toBe(200)
    await server.idle(id)
    const { lastUserText, messageCount } = model.requests.list(uuid).at(-1)!
    expect([lastUserText, told(uuid)]).toEqual(['And now?', 1])
    // In the conversation: behind the next message, in another process, and in a fork.
    await server.send(id, 'And then?')
    await server.idle(id)
    expect(told(uuid)).toBe(1)
    await server.restart()
    await server.send(id, 'And at last?')
    await server.idle(id)
    expect(told(uuid)).toBe(1)
    expect(model.requests.list(uuid).at(-1)!.messageCount).toBeGreaterThan(messageCount)
    const fork = (await server.request('POST', `/v1/sessions/${id}/fork`, {})).body as unknown as {
      id: string
      uuid: string
    }
    await server.send(fork.id, 'Elsewhere')
    await server.idle(fork.id)
    expect(told(fork.uuid)).toBe(1)
  })

  test('SY2 it is an event of its own, taken with its message, and none of the prompt', async () => {
    await start()
    const { id } = await server.create(null)
    const { body } = await send(id, message('Cut'), note(NOTE))
    const [sent, system] = body.data as SessionEvent[]
    expect(system).toMatchObject({ type: 'system.message', accompanies: sent!.id, turn_id: sent!.turn_id })
    await server.idle(id)
    const [taken] = await events(id, 'system.message')
    expect(taken).toMatchObject({ id: system!.id, content: [{ type: 'text', text: NOTE }] })
    expect(taken!.processed_at).not.toBeNull()
    const [turn] = await server.turns(id)
    expect(turn!.input_event_ids).toEqual([sent!.id, system!.id])
    const [origin] = JSON.parse((await server.request('GET', '/sessions/')).text) as { prompt: string }[]
    expect(origin!.prompt).toBe('Cut')
  })

  test('SY3 it follows a message and is the last of its call, and steers nothing', async () => {
    await start()
    const { id } = await server.create(null)
    const refused = async (...list: object[]) => {
      const { status, body } = await send(id, ...list)
      return `${status} ${body.code}`
    }
    for (const list of [
      [note(NOTE)],
      [note(NOTE), message('x')],
      [message('x'), note(NOTE), note(NOTE)],
      [message('x'), { type: 'user.interrupt' }, note(NOTE)],
      [message('x', { delivery: 'steer' }), note(NOTE)],
      [message('x'), note('  ')],
      [
        message('x'),
        { type: 'system.message', content: [{ type: 'image', source: { type: 'url', url: 'http://x' } }] },
      ],
    ])
      expect([list, await refused(...list)]).toEqual([list, '400 validation_failed'])
    expect(await refused(message('x'), note('x'.repeat(1024 * 1024 + 1)))).toBe('413 body_too_large')
    expect(await events(id, 'user.message')).toEqual([])
  })

  test('SY4 what waits in the line takes it along: cancelled with its message, sent once with a client_id', async () => {
    await start({ max_running: 1 })
    const busy = await server.create('Play\n```script\n[{"say":"x","delay_ms":60000}]\n```')
    await server.event(busy.id, ({ type }) => type === 'turn.started')
    const { id, uuid } = await server.create(null)
    const first = (await send(id, message('first'), note(NOTE))).body.data as SessionEvent[]
    const inputs = (await server.request('GET', `/v1/sessions/${id}/inputs`)).body.data as { event_id: string }[]
    expect(inputs.map(({ event_id }) => event_id)).toEqual([first[0]!.id])
    await server.request('DELETE', `/v1/sessions/${id}/inputs/${first[0]!.id}`)
    expect((await server.turns(id))[0]).toMatchObject({ status: 'cancelled' })
    const again = [message('second', { client_id: 'a' }), note(NOTE)]
    expect((await send(id, ...again)).body.data).toHaveLength(2)
    expect((await send(id, ...again)).body.data).toHaveLength(1)
    await send(busy.id, { type: 'user.interrupt', mode: 'now' })
    await server.idle(id)
    expect(told(uuid)).toBe(1)
    expect(await events(id, 'system.message')).toHaveLength(2)
  })

  test.each(GENERATIONS)('SY5 the official SDK sends one: $version', async ({ Client }) => {
    await start()
    const { sessions } = new Client(counted(server.url).options).beta
    const { id } = await sessions.create({ agent: 'agent_default', environment_id: 'env_default' })
    const { data } = await sessions.events.send(id, {
      events: [say('Cut'), { type: 'system.message', content: [{ type: 'text', text: NOTE }] }],
    })
    expect(data!.map(({ type }) => type)).toEqual(['user.message', 'system.message'])
    const session = await server.idle(id)
    expect(told(session.uuid)).toBe(1)
  })

  test('SY6 a token of a session, which a browser has, sends messages and no system.message', async () => {
    let operator = ''
    await using theirs = await ownServer((secret) => (operator = secret))
    const call = (path: string, body: object, headers: Record<string, string>) =>
      theirs.server.request('POST', path, body, headers)
    const key = { 'x-api-key': operator }
    const { id } = (await call('/v1/sessions', {}, key)).body as unknown as { id: string }
    const { token } = (await call(`/v1/sessions/${id}/tokens`, { scopes: ['send'] }, key)).body as unknown as {
      token: string
    }
    const path = `/v1/sessions/${id}/events`
    const bearer = { authorization: `Bearer ${token}` }
    const both = { events: [message('x'), note(NOTE)] }
    const reply = await call(path, both, bearer)
    expect([reply.status, reply.body.code]).toEqual([403, 'scope_missing'])
    expect((await call(path, { events: [message('x')] }, bearer)).status).toBe(200)
    expect((await call(path, both, key)).status).toBe(200)
  })
})

async function ownServer(onFirstKey: (secret: string) => void) {
  const server = await testServer({ auth: 'on' }, { onFirstKey })
  return { server, [Symbol.asyncDispose]: () => server.stop() }
}
