import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { type DemoModel, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import { frames } from '../../packages/server/test/support/server.ts'
import { type RealServer, realServer } from '../lib/real-server.ts'
import { inTurn, median } from '../lib/stats.ts'
import { type Case, ms, times } from '../lib/table.ts'

const bash = (command: string): Step => ({ tools: [{ name: 'Bash', input: { command } }] })
const scripted = (steps: Step[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const ASKING = scripted([bash('touch made'), { say: 'made' }])
const GRACE_MS = 1_000

/** What a person who answers or stops an agent waits for; with the genuine agent, beside what a cold process costs. */
export const control: Case = {
  name: 'control',
  async *run({ quick }) {
    const rounds = quick ? 3 : 9
    const model = await startDemoModel()
    {
      await using server = await realServer({ ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'bench' })
      const parked = () => answered(server, {})
      const resumed = () => coldResume(server, model)
      await inTurn(1, parked, resumed)
      const [answer, resume] = await inTurn(rounds, parked, resumed)
      yield {
        what: 'answer of a parked approval → its tool has run (bare: resume to request)',
        value: ms(answer),
        bare: ms(resume),
        ratio: times(answer / resume),
        aim: '≤ 1.3×',
      }
      const held: number[] = []
      for (let round = 0; round < rounds; round++) held.push(await answered(server, { hold_seconds: 60 }))
      yield { what: 'answer of a held approval → its tool has run', value: ms(median(held)), aim: '≤ 100 ms' }
      const tame: number[] = []
      const stubborn: number[] = []
      for (let round = 0; round < rounds; round++) {
        tame.push(await stopped(server, 'for n in $(seq 600); do sleep 0.1; done'))
        stubborn.push(await stopped(server, 'trap "" TERM INT; for n in $(seq 600); do sleep 0.1; done'))
      }
      yield { what: 'interrupt in a tool → idle', value: ms(median(tame)), aim: '≤ 1.5 s' }
      yield {
        what: `  in one that ignores signals, grace ${GRACE_MS} ms`,
        value: ms(median(stubborn)),
        aim: `≤ ${GRACE_MS + 500} ms`,
      }
    }
    await model.close()
  },
}

/** Milliseconds from the answer to the event that tells the result of the call. */
async function answered(server: RealServer, approvals: object): Promise<number> {
  const { id } = await create(server, ASKING, { approvals })
  const ask = await event(server, id, ({ type }) => type === 'agent.tool_use')
  await event(server, id, ({ type }) => type === 'session.status_idle')
  const began = performance.now()
  const ran = event(server, id, ({ type }) => type === 'agent.tool_result')
  await call(server, 'POST', `/v1/approvals/${ask.id}`, { result: 'allow' })
  await ran
  const took = performance.now() - began
  await idle(server, id)
  return took
}

/** Milliseconds from a send to a session without a process until the model has the request. */
async function coldResume(server: RealServer, model: DemoModel): Promise<number> {
  const { id, uuid } = await create(server, scripted([{ say: 'hello' }]), {})
  await idle(server, id)
  const began = performance.now()
  const seen = model.requests.list(uuid).length
  const arrived = model.nextRequest(
    (request) => request.sessionId === uuid && model.requests.list(uuid).length > seen,
    AbortSignal.timeout(60_000),
  )
  await send(server, id, { type: 'user.message', content: scripted([{ say: 'again' }]) })
  await arrived
  const took = performance.now() - began
  await idle(server, id)
  return took
}

/** Milliseconds from an interrupt in the middle of a command until the session is idle. */
async function stopped(server: RealServer, command: string): Promise<number> {
  const agent = { type: 'inline', permission_mode: 'bypassPermissions' }
  const { id } = await create(server, scripted([bash(`touch at-work; ${command}`), { say: 'done' }]), { agent })
  await event(server, id, ({ type }) => type === 'agent.tool_use')
  // The command has begun when its file is there; the shell takes a moment.
  await new Promise((resolve) => setTimeout(resolve, 700))
  const began = performance.now()
  await send(server, id, { type: 'user.interrupt', grace_ms: GRACE_MS })
  await idle(server, id)
  return performance.now() - began
}

async function call<T>(server: RealServer, method: string, path: string, body?: object): Promise<T> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(server.url + path, { method, ...(body && { headers, body: JSON.stringify(body) }) })
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as T
}

const create = (server: RealServer, content: string, fields: object) =>
  call<Session>(server, 'POST', '/v1/sessions', { initial_events: [{ type: 'user.message', content }], ...fields })

const send = (server: RealServer, id: string, input: object) =>
  call(server, 'POST', `/v1/sessions/${id}/events`, { events: [input] })

const idle = (server: RealServer, id: string) =>
  call<Session>(server, 'GET', `/v1/sessions/${id}?wait_for=idle&timeout=60`)

async function event(server: RealServer, id: string, match: (event: SessionEvent) => boolean): Promise<SessionEvent> {
  const abort = new AbortController()
  try {
    const response = await fetch(`${server.url}/v1/sessions/${id}/events/stream?from=start`, { signal: abort.signal })
    for await (const found of frames(response)) if (match(found)) return found
  } finally {
    abort.abort()
  }
  throw new Error('the stream ended before the event came')
}
