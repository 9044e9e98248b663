import { idToUuid } from '@troupe/protocol/ids'
import { benchServer } from '../lib/bench-server.ts'
import { get, load } from '../lib/raw-client.ts'
import { inTurn } from '../lib/stats.ts'
import { type Case, perSecond, times } from '../lib/table.ts'

/** GET /status of a session with ten messages, against raw Fastify that sends the same bytes. */
export const status: Case = {
  name: 'status',
  async *run({ quick }) {
    await using server = await benchServer()
    const path = `/status/${idToUuid(await server.command('messages', { count: 10 }))}`
    const body = await (await fetch(server.url + path)).text()
    const raw = await server.command('raw', { body })
    const options = { connections: 16, requests: quick ? 3_000 : 10_000 }
    const rate = (url: string) => async () => (await load(url, () => get(path), options)).perSecond
    await inTurn(1, rate(server.url), rate(raw))
    const [ours, bare] = await inTurn(7, rate(server.url), rate(raw))
    yield {
      what: `GET /status, 10 messages, ${(Buffer.byteLength(body) / 1024).toFixed(1)} KiB`,
      value: perSecond(ours),
      bare: perSecond(bare),
      ratio: times(ours / bare),
      aim: '≥ 0.6×',
    }
  },
}
