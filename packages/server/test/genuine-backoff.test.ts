import { startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import type { Queue } from '@troupe/protocol/queue'
import type { Session } from '@troupe/protocol/session'
import { expect, test } from 'vitest'
import { testServer } from './support/server.ts'

const scripted = (steps: Step[]) => `Go\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``

test('J28 after a 429 of the endpoint the genuine agent tries again when it may, and no other session asks before', async () => {
  const model = await startDemoModel()
  const server = await testServer(
    { agent_executable: undefined, demo_model: 'on', max_running: 4 },
    { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
  )
  try {
    const refused = await server.create(scripted([{ fail: { status: 429, times: 1, retry_after: 3 }, say: 'made it' }]))
    await server.event(refused.id, ({ type }) => type === 'session.status_rescheduled')
    const after = await server.create(scripted([{ say: 'after' }]))
    expect(await server.get<Session>(`/v1/sessions/${after.id}`)).toMatchObject({ queue: { reason: 'model_backoff' } })
    const { backoff_until } = await server.get<Queue>('/v1/queue')
    expect((await server.idle(after.id)).result!.text).toBe('after')
    expect((await server.idle(refused.id)).result!.text).toBe('made it')
    const [asked] = model.requests.list(refused.uuid)
    const [first] = model.requests.list(after.uuid)
    expect(first!.at - asked!.at).toBeGreaterThanOrEqual(3_000)
    expect(first!.at).toBeGreaterThanOrEqual(Date.parse(backoff_until!))
  } finally {
    await server.stop()
    await model.close()
  }
})
