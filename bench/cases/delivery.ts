import { setTimeout as delay } from 'node:timers/promises'
import { benchServer } from '../lib/bench-server.ts'
import { watchSessions } from '../lib/sse-readers.ts'
import { percentile } from '../lib/stats.ts'
import { type Case, perSecond, spread } from '../lib/table.ts'

const LOADS = [
  { sessions: 1, readers: 1, rate: 50 },
  { sessions: 1, readers: 400, rate: 20 },
  { sessions: 200, readers: 2, rate: 1_000 },
  { sessions: 200, readers: 2, rate: 5_000 },
]

/** From the moment an event is made, over its commit, to a reader in another process. */
export const delivery: Case = {
  name: 'delivery',
  async *run({ quick }) {
    for (const { sessions, readers, rate } of LOADS) {
      await using server = await benchServer()
      const ids = await server.command('sessions', { count: sessions })
      const watched = await watchSessions(server.url, ids, readers)
      const seconds = quick ? 2 : 6
      await server.command('emit', { ids, rate, seconds: 1 })
      await delay(300)
      watched.ages.length = 0
      const emitted = await server.command('emit', { ids, rate, seconds })
      const expected = Math.round(rate * seconds) * readers
      for (let wait = 0; watched.ages.length < expected && wait < 100; wait++) await delay(50)
      watched.close()
      const kept = `made ${perSecond(emitted)}`
      yield {
        what: `event → disk → ${readers} reader${readers > 1 ? 's' : ''} × ${sessions} session${sessions > 1 ? 's' : ''}, p50 / p99`,
        value: spread(percentile(watched.ages, 0.5), percentile(watched.ages, 0.99)),
        bare: watched.ages.length === expected ? kept : `${kept}, ${expected - watched.ages.length} NOT SEEN`,
      }
    }
  },
}
