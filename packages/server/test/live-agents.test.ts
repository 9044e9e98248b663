import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import type { Turn } from '@troupe/protocol/turn'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { TestServer } from './support/server.ts'
import { testServer } from './support/server.ts'

const scripted = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
/** The pids of the agents that are there. */
const agents = ({ folder }: TestServer) => readdirSync(join(folder, 'data', 'agents')).map(Number)
const gone = (pid: number) => !existsSync(`/proc/${pid}`)

describe('genuine agents between two turns', () => {
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
    await server.stop()
    await model.close()
  })

  test('WM1 an agent stays behind its turn and takes the next input; it has the conversation, and each turn its own bill', async () => {
    await start()
    const { id, uuid } = await server.create(scripted([{ say: 'one' }]), {
      agent: { type: 'inline', permission_mode: 'bypassPermissions' },
    })
    const first = await server.idle(id)
    const [pid, ...others] = agents(server)
    expect(others).toEqual([])
    await server.send(id, scripted([{ tools: [{ name: 'Bash', input: { command: 'echo x' } }] }, { say: 'two' }]))
    const second = await server.idle(id)
    expect(second.result!.text).toBe('two')
    expect(agents(server)).toEqual([pid])
    expect(model.requests.list(uuid).at(-1)!.messageCount).toBeGreaterThanOrEqual(3)
    const billed = model.requests.list(uuid).reduce((sum, { usage }) => sum + (usage?.output_tokens ?? 0), 0)
    expect(second.usage.output_tokens).toBe(billed)
    const turns = await server.turns(id)
    expect(turns.reduce((sum, { usage }) => sum + usage!.output_tokens, 0)).toBe(billed)
    expect(second.usage.output_tokens).toBeGreaterThan(first.usage.output_tokens)
  })

  test('WM2 what the process cannot change brings another, which has the conversation too', async () => {
    await start()
    const { id, uuid } = await server.create('Remember the blue door')
    await server.idle(id)
    const [pid] = agents(server)
    await server.post(`/v1/sessions/${id}`, {
      output_schema: { type: 'object', properties: { n: { type: 'integer' } } },
    })
    await server.send(id, 'And now?')
    expect((await server.idle(id)).result!.structured).not.toBe(null)
    expect(agents(server)).not.toContain(pid)
    expect(model.requests.list(uuid).at(-1)!.messageCount).toBeGreaterThanOrEqual(3)
    // Title, metadata and how long it is kept are none of its business.
    const [other] = agents(server)
    await server.post(`/v1/sessions/${id}`, { title: 'Doors', metadata: { a: 'b' }, retention: { keep: true } })
    await server.send(id, 'And then?')
    await server.idle(id)
    expect(agents(server)).toEqual([other])
  })

  test('WM14 changed while it works, a session goes on to its next turn with another agent, whose calls are judged', async () => {
    await start()
    const bypass = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }
    const waits = { name: 'Bash', input: { command: 'until [ -e go ]; do sleep 0.05; done' } }
    const { id, cwd } = await server.create(scripted([{ tools: [waits] }, { say: 'first' }]), bypass)
    await server.event(id, ({ type }) => type === 'agent.tool_use')
    await server.post(`/v1/sessions/${id}`, { limits: { max_turns: 7 } })
    await server.send(id, scripted([{ tools: [{ name: 'Bash', input: { command: 'echo x' } }] }, { say: 'judged' }]))
    writeFileSync(join(cwd, 'go'), '')
    await server.event(id, ({ type }) => type === 'turn.completed')
    expect((await server.idle(id)).result!.text).toBe('judged')
    expect(await server.turns(id)).toHaveLength(2)
  })

  test('WM3 a parked call ends its agent; the one that makes it again stays for what follows, and asks anew', async () => {
    await start()
    const { id } = await server.create(
      scripted([{ tools: [{ name: 'Bash', input: { command: 'touch x' } }] }, { say: 'done' }]),
    )
    const { required_actions: asks } = await server.idle(id)
    expect(agents(server)).toEqual([])
    await server.post(`/v1/approvals/${asks[0]!.event_id}`, { result: 'allow' })
    expect((await server.idle(id)).result!.text).toBe('done')
    const [pid] = agents(server)
    // The call that the process made again is not made a third time.
    await server.send(id, scripted([{ tools: [{ name: 'Bash', input: { command: 'touch y' } }] }, { say: 'again' }]))
    const { required_actions: more } = await server.idle(id)
    expect(more).toHaveLength(1)
    await server.post(`/v1/approvals/${more[0]!.event_id}`, { result: 'deny' })
    await server.idle(id)
    expect(agents(server)).not.toContain(pid)
  })

  test('WM4 an agent at rest goes with its session, and with the time it may rest; the session goes on all the same', async () => {
    await start()
    const erased = await server.create('one')
    const archived = await server.create('two')
    await server.idle(erased.id)
    await server.idle(archived.id)
    const pids = agents(server)
    expect(pids).toHaveLength(2)
    await server.request('DELETE', `/v1/sessions/${erased.id}`)
    await server.post(`/v1/sessions/${archived.id}/archive`)
    await expect.poll(() => pids.every(gone)).toBe(true)
    await expect.poll(() => existsSync(join(server.folder, 'data', 'sessions', erased.uuid))).toBe(false)
    await server.restart({ live_seconds: 1 })
    const { id } = await server.create('three')
    await server.idle(id)
    await expect.poll(() => agents(server)).toEqual([])
    await server.send(id, scripted([{ say: 'back' }]))
    expect((await server.idle(id)).result!.text).toBe('back')
  })

  test('WM5 agents at rest give way: to a newer one at the limit, and to a session that needs their memory', async () => {
    await start({ max_live: 1 })
    const first = await server.create('one')
    await server.idle(first.id)
    const [pid] = agents(server)
    const second = await server.create('two')
    await server.idle(second.id)
    await expect.poll(() => gone(pid!)).toBe(true)
    expect(agents(server)).toHaveLength(1)
    // Room for one agent and no more: what rests is in the way of what has work.
    await server.restart({ max_memory_mb: 500, max_live: 10, max_running: 4 })
    const third = await server.create('three')
    await server.idle(third.id)
    const [resting] = agents(server)
    const busy = await server.create(scripted([{ say: 'x', delay_ms: 60_000 }]))
    await server.event(busy.id, ({ type }) => type === 'turn.started')
    const waits = await server.create('four')
    await expect.poll(() => gone(resting!)).toBe(true)
    await server.post(`/v1/sessions/${busy.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    expect((await server.idle(waits.id)).result).not.toBe(null)
  })

  test('WM6 an agent that is kept has no schedule by which it would begin a turn of its own', async () => {
    await start()
    const { id } = await server.create('one')
    await server.idle(id)
    const transcript = await server.app.store.loadTranscript(id, '')
    const [offered] = transcript.filter((line) => line.includes('"type":"deferred_tools_delta"'))
    expect(offered).toContain('WebFetch')
    expect(offered).not.toContain('Cron')
  })
})

test('WM12 sessions whose agents end and come again by turns lose and repeat nothing', async () => {
  const began = new Date()
  const model = await startDemoModel()
  const server = await testServer(
    { agent_executable: undefined, demo_model: 'on', live_seconds: 300, max_live: 1 },
    { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
  )
  // Each turn of one ends the agent of the other. WAKES=100 takes minutes, and wakes them 200 times.
  const wakes = Number(process.env.WAKES ?? 6)
  const sessions = [
    await server.create(scripted([{ say: 'begun' }])),
    await server.create(scripted([{ say: 'begun' }])),
  ]
  for (const { id } of sessions) await server.idle(id)
  for (let wake = 0; wake < wakes; wake++)
    for (const { id } of sessions) {
      await server.send(id, scripted([{ say: `word ${wake}` }]))
      expect((await server.idle(id)).result!.text).toBe(`word ${wake}`)
    }
  for (const { id, uuid } of sessions) {
    const { data: turns } = await server.get<{ data: Turn[] }>(`/v1/sessions/${id}/turns?limit=1000`)
    expect(turns.map(({ output, status }) => [status, output!.text]).toSorted()).toEqual(
      ['begun', ...Array.from({ length: wakes }, (_, wake) => `word ${wake}`)]
        .map((text) => ['completed', text])
        .toSorted(),
    )
    // One prompt and one answer for each turn, and nothing twice.
    const last = model.requests.list(uuid).filter(({ path }) => path === '/v1/messages')
    expect(last).toHaveLength(wakes + 1)
    const grown = last.slice(1).map(({ messageCount }, index) => messageCount - last[index]!.messageCount)
    // When the day has changed, the agent is told so, once.
    const days = new Date().getDate() === began.getDate() ? 0 : 1
    expect(grown.filter((messages) => messages !== 2).length).toBeLessThanOrEqual(days)
    const billed = last.reduce((sum, { usage }) => sum + (usage?.output_tokens ?? 0), 0)
    expect((await server.idle(id)).usage.output_tokens).toBe(billed)
  }
  await server.stop()
  await model.close()
}, 900_000)

test('WM7 an agent at rest that dies is replaced, and one that speaks out of turn is ended', async () => {
  const server = await testServer({ live_seconds: 300 })
  const { id } = await server.create('say one')
  await server.idle(id)
  const [pid] = agents(server)
  process.kill(-pid!, 'SIGKILL')
  await expect.poll(() => agents(server)).toEqual([])
  await server.send(id, 'say two')
  expect((await server.idle(id)).result!.text).toBe('two')
  const [other] = agents(server)
  expect(other).not.toBe(pid)
  const { id: talker } = await server.create('babbles')
  await server.idle(talker)
  await expect.poll(() => agents(server)).toEqual([other])
  await server.stop()
})
