import { benchServer } from '../lib/bench-server.ts'
import { get, load } from '../lib/raw-client.ts'
import { percentile } from '../lib/stats.ts'
import { type Case, perSecond, spread } from '../lib/table.ts'

/** GET /v1/sessions?limit=50, however many sessions there are. */
export const list: Case = {
  name: 'list',
  async *run({ quick }) {
    await using server = await benchServer()
    await server.command('sessions', { count: 1 })
    for (const count of quick ? [1_000, 100_000] : [1_000, 100_000, 1_000_000]) {
      const there = await server.command('fill', { count })
      const path = '/v1/sessions?limit=50'
      await load(server.url, () => get(path), { connections: 1, requests: 100 })
      const one = await load(server.url, () => get(path), { connections: 1, requests: 500 })
      const many = await load(server.url, () => get(path), { connections: 16, requests: 1_000 })
      yield {
        what: `GET /v1/sessions?limit=50 of ${there.toLocaleString('en')}, p50 / p99`,
        value: spread(percentile(one.latencies, 0.5), percentile(one.latencies, 0.99)),
        bare: `(16 at once: ${perSecond(many.perSecond)})`,
      }
    }
  },
}
