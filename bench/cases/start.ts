import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { realServer } from '../lib/real-server.ts'
import { median } from '../lib/stats.ts'
import { type Case, ms, times } from '../lib/table.ts'

const BARE = fileURLToPath(new URL('../lib/bare-fastify.ts', import.meta.url))
const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`

/** From the start of the process to the first 200, and what it weighs when nothing happens. */
export const start: Case = {
  name: 'start',
  async *run({ quick }) {
    const figures: Record<'ours' | 'bare', { ms: number[]; memory: number[] }> = {
      ours: { ms: [], memory: [] },
      bare: { ms: [], memory: [] },
    }
    for (let round = 0; round < (quick ? 3 : 7); round++)
      for (const kind of ['ours', 'bare'] as const) {
        await using server = await realServer(
          { ANTHROPIC_API_KEY: 'bench' },
          '/health',
          kind === 'bare' ? BARE : undefined,
        )
        await delay(1_500)
        figures[kind].ms.push(server.startMs)
        figures[kind].memory.push(server.memory())
      }
    const [ours, bare] = [figures.ours, figures.bare]
    yield {
      what: 'start → first 200 of /health (bare: Fastify)',
      value: ms(median(ours.ms)),
      bare: ms(median(bare.ms)),
      ratio: times(median(ours.ms) / median(bare.ms)),
      aim: '≤ 1 s',
    }
    yield {
      what: 'resident memory, idle (bare: Fastify)',
      value: mib(median(ours.memory)),
      bare: mib(median(bare.memory)),
      ratio: times(median(ours.memory) / median(bare.memory)),
      aim: '≤ 150 MiB',
    }
  },
}
