import type { Session } from '@troupe/protocol/session'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

const cents = (amount: number | string) => ({
  type: 'limit',
  max_list_cost: { amount: String(amount), currency: 'USD' },
})

describe('budgets and limits', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())

  const create = (prompt: string | null, fields: object = {}) =>
    server.create(prompt, { env: { FAKE_USAGE: '1' }, ...fields })
  const update = (id: string, body: object) => server.request('POST', `/v1/sessions/${id}`, body)
  const read = (id: string) => server.get<Session>(`/v1/sessions/${id}`)
  const spent = (id: string, usd: number) =>
    expect.poll(async () => (await read(id)).usage.cost_usd).toBeGreaterThanOrEqual(usd)

  test('M11 a budget is whole cents in dollars, and stands on the session with what is spent', async () => {
    for (const budget of [
      {},
      { type: 'limit' },
      cents('0'),
      cents('1.5'),
      cents('-5'),
      cents('1'.repeat(13)),
      { type: 'limit', max_list_cost: { amount: 500, currency: 'USD' } },
      { type: 'limit', max_list_cost: { amount: '500', currency: 'EUR' } },
    ])
      expect([budget, (await server.request('POST', '/v1/sessions', { budget })).body.code]).toEqual([
        budget,
        'validation_failed',
      ])
    const session = await create('cost 0.123', { budget: cents(500) })
    expect(session.budget).toEqual({
      type: 'limit',
      max_list_cost: { amount: '500', currency: 'USD' },
      spent: { amount: '0', currency: 'USD' },
    })
    expect((await server.idle(session.id)).budget).toMatchObject({ spent: { amount: '13' } })
    const told = (await server.events(session.id)).find(({ type }) => type === 'session.usage')!
    expect(told.budget).toMatchObject({ max_list_cost: { amount: '500' }, spent: { amount: '13' } })
  })

  test('M11 at the cap a session takes no message, but can be interrupted, raised and archived', async () => {
    const { id } = await create('cost 0.1', { budget: cents(10) })
    // The turn was done: it ended as it should.
    expect((await server.idle(id)).stop_reason).toEqual({ type: 'end_turn' })
    const events = (type: object) => server.request('POST', `/v1/sessions/${id}/events`, { events: [type] })
    expect((await events({ type: 'user.message', content: 'more' })).body).toMatchObject({ code: 'budget_reached' })
    expect((await events({ type: 'user.interrupt' })).status).toBe(200)
    expect((await update(id, { budget: cents(10) })).status).toBe(200)
    expect((await update(id, { budget: cents(9) })).body.code).toBe('budget_not_raised')
    const raised = await update(id, { budget: cents(11) })
    // Nothing was left undone, so nothing goes on.
    expect(raised.body).toMatchObject({ status: 'idle', budget: { max_list_cost: { amount: '11' } } })
    await server.send(id, 'say more')
    expect((await server.idle(id)).result!.text).toBe('more')
    expect((await update(id, { budget: null })).body.budget).toBeNull()
    await server.post(`/v1/sessions/${id}/archive`)
    expect((await update(id, { budget: cents(99) })).body.code).toBe('session_terminated')
  })

  test('M12 turns that wait when the budget is reached go on waiting, and run when it is raised', async () => {
    const { id } = await create('spend 0.01', { budget: cents(5) })
    await server.send(id, 'say later')
    const stopped = await server.idle(id)
    expect(stopped).toMatchObject({ stop_reason: { type: 'budget_reached' }, queue: null, last_error: null })
    expect((await server.turns(id)).map(({ status }) => status)).toEqual(['completed', 'queued'])
    await update(id, { budget: cents(500) })
    expect((await server.idle(id)).result!.text).toBe('later')
    expect((await server.turns(id)).map(({ status }) => status)).toEqual(['completed', 'completed'])
  })

  test('M12 they wait too behind a turn that was stopped, and had spent what there was', async () => {
    const { id } = await server.create('hold', { budget: cents(10), env: { FAKE_TOTAL: '0.1' } })
    await server.event(id, ({ type }) => type === 'agent.message')
    await server.send(id, 'say later')
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    expect(await server.idle(id)).toMatchObject({ stop_reason: { type: 'budget_reached' }, usage: { cost_usd: 0.1 } })
    expect((await server.turns(id)).map(({ status, stop_reason }) => [status, stop_reason?.type])).toEqual([
      ['cancelled', 'interrupted'],
      ['queued', undefined],
    ])
    await update(id, { budget: null })
    expect((await server.idle(id)).result!.text).toBe('later')
  })

  test('M12 they wait over a restart, and end with an archive', async () => {
    const { id } = await create('spend 0.01', { budget: cents(5) })
    await server.send(id, 'say never')
    await server.idle(id)
    await server.restart()
    expect(await read(id)).toMatchObject({ status: 'idle', stop_reason: { type: 'budget_reached' } })
    await server.post(`/v1/sessions/${id}/archive`)
    expect((await server.turns(id)).map(({ status }) => status)).toEqual(['completed', 'cancelled'])
    expect(await read(id)).toMatchObject({ status: 'terminated' })
  })

  test('M13 a budget that is raised while the turn runs lets it go on by itself', async () => {
    const { id } = await create('spend 0.01', { budget: cents(20) })
    await spent(id, 0.01)
    await update(id, { budget: cents(500) })
    const session = await server.idle(id)
    expect(session).toMatchObject({ stop_reason: { type: 'end_turn' }, last_error: null })
    expect((await server.turns(id)).map(({ stop_reason }) => stop_reason!.type)).toEqual(['budget_reached', 'end_turn'])
    expect(session.result!.text).toContain('Continue from where you left off')
  })

  test('M13 a budget that is lowered or given while the turn runs ends it at the end of a request', async () => {
    for (const budget of [cents(5_000), undefined]) {
      const { id } = await create('spend 0.01', budget && { budget })
      await spent(id, 0.03)
      const { usage } = await read(id)
      expect((await update(id, { budget: cents(Math.ceil(usage.cost_usd * 100) + 5) })).status).toBe(200)
      expect(await server.idle(id)).toMatchObject({ stop_reason: { type: 'budget_reached' }, last_error: null })
      expect((await server.turns(id))[0]).toMatchObject({ status: 'completed', error: null })
    }
  })

  test('M14 what a turn has cost so far shows on the session while it runs', async () => {
    const { id } = await create('spend 0.01')
    await spent(id, 0.02)
    expect((await read(id)).status).toBe('running')
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    const session = await server.idle(id)
    const [turn] = await server.turns(id)
    expect(session.usage.cost_usd).toBe(turn!.usage!.cost_usd)
  })

  test('M15 limits have bounds, can be changed, and null clears', async () => {
    for (const limits of [
      { turn_timeout_seconds: 0 },
      { turn_timeout_seconds: 604_801 },
      { turn_timeout_seconds: 1.5 },
      { max_turns: 1001 },
    ])
      expect((await server.request('POST', '/v1/sessions', { limits })).body.code).toBe('validation_failed')
    const { id } = await create(null, { limits: { max_turns: 7, turn_timeout_seconds: 604_800 } })
    expect((await read(id)).limits).toMatchObject({ max_turns: 7, turn_timeout_seconds: 604_800 })
    await update(id, { limits: { turn_timeout_seconds: 1 } })
    const changed = await update(id, { limits: { max_turns: null } })
    expect(changed.body.limits).toMatchObject({ max_turns: null, turn_timeout_seconds: 1 })
    const events = await server.events(id)
    expect(events.at(-1)).toMatchObject({ type: 'session.updated', limits: changed.body.limits, budget: null })
    await update(id, { limits: {} })
    expect(await server.events(id)).toHaveLength(events.length)
  })

  test('M7 an agent that ignores the end of its time is killed', async () => {
    const { id } = await create('stubborn', { limits: { turn_timeout_seconds: 1 } })
    const session = await server.idle(id)
    expect(session).toMatchObject({ stop_reason: { type: 'timeout' }, last_error: { code: 'turn_timeout' } })
    expect((await server.turns(id))[0]).toMatchObject({ status: 'failed', usage: { unreported_requests: 1 } })
    await update(id, { limits: { turn_timeout_seconds: null } })
    await server.send(id, 'say on')
    expect((await server.idle(id)).result!.text).toBe('on')
  })
})
