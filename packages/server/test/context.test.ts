import type { SessionContextUsage } from '@troupe/protocol/context'
import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contextWarning } from '../src/sessions/context-usage.ts'
import type { ContextFill } from '../src/store/session-row.ts'
import { type TestServer, testServer } from './support/server.ts'

const scripted = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``

describe('the context of a genuine agent', () => {
  let model: DemoModel
  let server: TestServer
  beforeAll(async () => {
    model = await startDemoModel()
    server = await testServer(
      { agent_executable: undefined, demo_model: 'on' },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })
  const contextOf = (id: string) => server.get<SessionContextUsage>(`/v1/sessions/${id}/context`)

  test('CX1 behind each answer it is known what fills the context, and nobody is asked for it', async () => {
    const { id, uuid } = await server.create(null)
    expect(await contextOf(id)).toEqual({ type: 'context_usage', session_id: id, usage: null, categories: [] })
    await server.send(id, scripted([{ say: 'one' }]))
    const session = await server.idle(id)
    const { usage, categories } = await contextOf(id)
    expect(usage).toMatchObject({ tokens: expect.any(Number), model: expect.any(String) })
    expect(session.context).toEqual(usage)
    expect(usage!.percent).toBeCloseTo((usage!.tokens / usage!.max_tokens) * 100, 0)
    expect(categories.map((each) => each.id)).toEqual(
      expect.arrayContaining(['system_prompt', 'system_tools', 'free_space']),
    )
    const used = categories.filter(({ kind }) => kind === 'used').reduce((sum, { tokens }) => sum + tokens, 0)
    expect(used).toBeGreaterThan(0)
    const ended = (await server.events(id)).find(({ type }) => type === 'turn.completed')!
    expect(ended.context).toEqual(usage)
    expect(model.requests.list(uuid)).toHaveLength(1)
    await server.send(id, scripted([{ say: 'long '.repeat(2_000) }]))
    await server.idle(id)
    const grown = await contextOf(id)
    expect(grown.usage!.tokens).toBeGreaterThan(usage!.tokens + 1_000)
    expect(grown.categories.map((each) => each.id)).toContain('messages')
  })

  test('CX2 a session is compacted on request: one turn and one request, the model goes on from a summary, the log keeps all', async () => {
    const { id, uuid } = await server.create(scripted([{ say: 'the door is blue' }]))
    await server.idle(id)
    for (const word of ['two', 'three']) {
      await server.send(id, scripted([{ say: word }]))
      await server.idle(id)
    }
    const before = model.requests.list(uuid).length
    const { data } = await server.post<{ data: { type: string; command: string }[] }>(`/v1/sessions/${id}/compact`, {
      instructions: 'Keep the colour\nof the door',
    })
    expect(data).toMatchObject([{ type: 'user.message', command: 'compact' }])
    const session = await server.idle(id)
    expect(session).toMatchObject({ stop_reason: { type: 'end_turn' }, last_error: null })
    const requests = model.requests.list(uuid)
    expect(requests).toHaveLength(before + 1)
    expect(requests.at(-1)!.lastUserText).toContain('Keep the colour of the door')
    const events = await server.events(id)
    expect(events.filter(({ type }) => type === 'agent.thread_context_compacted')).toMatchObject([
      { trigger: 'manual' },
    ])
    expect(events.some(({ content }) => JSON.stringify(content ?? '').includes('the door is blue'))).toBe(true)
    await server.send(id, scripted([{ say: 'after' }]))
    expect((await server.idle(id)).result!.text).toBe('after')
    expect(model.requests.list(uuid).at(-1)!.messageCount).toBeLessThan(requests.at(-2)!.messageCount)
    const billed = model.requests.list(uuid).reduce((sum, { usage }) => sum + (usage?.output_tokens ?? 0), 0)
    expect((await server.idle(id)).usage.output_tokens).toBe(billed)
  })

  test('CX3 a session with an output_schema can be compacted; one without a conversation or archived cannot', async () => {
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
    const { id } = await server.create('How many?', { output_schema: schema })
    await server.idle(id)
    await server.post(`/v1/sessions/${id}/compact`, {})
    expect(await server.idle(id)).toMatchObject({ stop_reason: { type: 'end_turn' }, last_error: null })
    await server.send(id, 'How many now?')
    expect((await server.idle(id)).result!.structured).toEqual({ n: expect.any(Number) })
    const compact = async (session: string, body: unknown = {}) => {
      const reply = await server.request('POST', `/v1/sessions/${session}/compact`, body)
      return [reply.status, reply.body.code]
    }
    const fresh = await server.create(null)
    expect(await compact(fresh.id)).toEqual([409, 'nothing_to_compact'])
    await server.post(`/v1/sessions/${id}/archive`)
    expect(await compact(id)).toEqual([400, 'session_terminated'])
    expect(await compact(id, { instructions: 'x'.repeat(10_001) })).toEqual([400, 'validation_failed'])
    expect(await compact('sesn_nobody')).toEqual([404, 'session_not_found'])
  })
})

test('CX4 a context that becomes nearly full is told once, and again only when it has been less in between', () => {
  const at = (tokens: number): ContextFill => ({ tokens, maxTokens: 1_000, model: 'm', at: 1, categories: [] })
  const told = (before: ContextFill | null, now?: ContextFill) => contextWarning(before, now, 'turn_1', 5).length
  expect([told(null, at(799)), told(null, at(800)), told(at(799), at(950))]).toEqual([0, 1, 1])
  expect([told(at(800), at(950)), told(at(950), at(100)), told(at(100), at(801)), told(at(950))]).toEqual([0, 0, 1, 0])
  expect(contextWarning(null, at(801), 'turn_1', 5)).toMatchObject([
    { type: 'session.context_nearly_full', turnId: 'turn_1', body: { tokens: 801, max_tokens: 1_000, percent: 80.1 } },
  ])
})
