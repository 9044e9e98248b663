import type { Queue } from '@troupe/protocol/queue'
import { fileURLToPath } from 'node:url'
import { get, load, post } from '../lib/raw-client.ts'
import { realServer } from '../lib/real-server.ts'
import { percentile } from '../lib/stats.ts'
import { type Case, perSecond, spread } from '../lib/table.ts'

const AGENT = fileURLToPath(new URL('../../packages/server/test/support/fake-agent.mjs', import.meta.url))
const SLOTS = 10
const WAITING = 200

/** What a full house costs those who ask, and whether the slots go round; with scripted agents in real processes. */
export const admission: Case = {
  name: 'admission',
  async *run({ quick }) {
    const env = { ANTHROPIC_API_KEY: 'bench', TROUPE_AGENT_EXECUTABLE: AGENT, TROUPE_MAX_RUNNING: String(SLOTS) }
    {
      await using server = await realServer({ ...env, TROUPE_DRAIN_SECONDS: '0' })
      const ids = []
      for (let n = 0; n < SLOTS + WAITING; n++) ids.push(await create(server.url, 'hold', `key ${n % 7}`))
      await until(server.url, ({ running, depth }) => running === SLOTS && depth === WAITING)
      const last = ids.at(-1)!
      const requests = quick ? 2_000 : 10_000
      for (const [what, request] of [
        [`${WAITING} wait, ${SLOTS} run: GET /v1/sessions/{id}`, get(`/v1/sessions/${last}`)],
        ['  GET /v1/sessions?limit=50', get('/v1/sessions?limit=50')],
        ['  GET /v1/queue', get('/v1/queue')],
        ['  POST /v1/sessions without work', post('/v1/sessions', '{}')],
      ] as const) {
        await load(server.url, () => request, { connections: 4, requests: 200 })
        const { latencies } = await load(server.url, () => request, { connections: 4, requests })
        yield {
          what: `${what}, p50 / p99`,
          value: spread(percentile(latencies, 0.5), percentile(latencies, 0.99)),
          aim: '≤ 20 ms',
        }
      }
    }
    {
      await using server = await realServer(env)
      const total = quick ? 200 : 1_000
      // Far more of the first keys than of the last, which come last as well.
      const keys = Array.from({ length: total }, (_, n) => `key ${Math.floor(5 * (n / total) ** 2)}`)
      const hold = await Promise.all(Array.from({ length: SLOTS }, () => create(server.url, 'hold', 'before')))
      await until(server.url, ({ running }) => running === SLOTS)
      for (const key of keys) await create(server.url, 'naps 300', key)
      const begun = performance.now()
      await Promise.all(hold.map((id) => stopNow(server.url, id)))
      let most = 0
      let seen = 0
      const asked: number[] = []
      await until(server.url, (line, latency) => {
        asked.push(latency)
        const all = line.by_key.filter((key) => key.concurrency_key !== 'before')
        const counts = all.filter((key) => key.depth > 0).map((key) => key.running)
        // A slot that was just given back has not been given out yet.
        if (counts.length > 1 && all.reduce((sum, { running }) => sum + running, 0) === SLOTS) {
          most = Math.max(most, Math.max(...all.map(({ running }) => running)) - Math.min(...counts))
          seen++
        }
        return line.depth === 0
      })
      yield {
        what: `${total} sessions of 5 keys, ${SLOTS} slots: a key was behind by`,
        value: `at most ${most} (${seen} looks)`,
        aim: '≤ 1 slot',
      }
      yield {
        what: `  GET /v1/queue meanwhile, p50 / p99`,
        value: spread(percentile(asked, 0.5), percentile(asked, 0.99)),
        bare: `(${perSecond(total / ((performance.now() - begun) / 1000))} begun and ended)`,
      }
    }
  },
}

async function create(url: string, prompt: string, concurrency_key: string): Promise<string> {
  const { id } = await send<{ id: string }>(`${url}/v1/sessions`, {
    concurrency_key,
    initial_events: [{ type: 'user.message', content: prompt }],
  })
  return id
}

const stopNow = (url: string, id: string) =>
  send(`${url}/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })

async function send<T>(url: string, body: unknown): Promise<T> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as T
}

/** Looks at the queue until it is as it should be. */
async function until(url: string, match: (line: Queue, latency: number) => boolean): Promise<void> {
  for (;;) {
    const begun = performance.now()
    const line = (await (await fetch(`${url}/v1/queue`)).json()) as Queue
    if (match(line, performance.now() - begun)) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
