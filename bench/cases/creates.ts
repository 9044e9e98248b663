import { benchServer } from '../lib/bench-server.ts'
import type { FlushDelay } from '../lib/flush-delay.ts'
import { get, load, post } from '../lib/raw-client.ts'
import { median, percentile } from '../lib/stats.ts'
import { type Case, perSecond, spread, times } from '../lib/table.ts'

const CONCURRENCY = 64
const BODY = JSON.stringify({
  initial_events: [{ type: 'user.message', content: [{ type: 'text', text: 'Please introduce yourself.' }] }],
})

/** Durable creates, with a first message: over HTTP and by the use case itself, on this disk and on slower ones. */
export const creates: Case = {
  name: 'creates',
  async *run({ quick }) {
    const requests = quick ? 1_000 : 4_000
    let direct = 0
    {
      await using server = await benchServer()
      await server.command('creates', { count: requests, concurrency: CONCURRENCY })
      const rates = []
      for (let round = 0; round < 3; round++)
        rates.push(await server.command('creates', { count: requests, concurrency: CONCURRENCY }))
      direct = median(rates)
      yield { what: `durable creates without HTTP, ${CONCURRENCY} at once`, value: perSecond(direct) }
    }
    const disks: (FlushDelay | undefined)[] = [
      undefined,
      ...[2, 5].flatMap((ms) => [true, false].map((blocking) => ({ ms, blocking }))),
    ]
    for (const delay of disks) {
      await using server = await benchServer(delay)
      const create = () => load(server.url, () => post('/v1/sessions', BODY), { connections: CONCURRENCY, requests })
      await create()
      const runs = []
      // Meanwhile somebody reads: what a flush that blocks the loop costs others.
      const reads: number[] = []
      for (let round = 0; round < 3; round++) {
        const done = new AbortController()
        const run = create().finally(() => done.abort())
        while (!done.signal.aborted)
          reads.push(...(await load(server.url, () => get('/health'), { connections: 1, requests: 20 })).latencies)
        runs.push((await run).perSecond)
      }
      const disk = delay ? `, ${delay.ms} ms flush ${delay.blocking ? 'in the loop' : 'beside the loop'}` : ''
      yield {
        what: `durable creates over HTTP, ${CONCURRENCY} at once${disk}`,
        value: perSecond(median(runs)),
        bare: delay ? '' : perSecond(direct),
        ratio: delay ? '' : times(median(runs) / direct),
        aim: delay ? '' : '≥ 2,000 /s',
      }
      yield {
        what: `  GET /health meanwhile, p50 / p99`,
        value: spread(percentile(reads, 0.5), percentile(reads, 0.99)),
      }
    }
  },
}
