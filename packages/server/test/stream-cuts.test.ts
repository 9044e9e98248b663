import type { SessionEvent } from '@troupe/protocol/event'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

const SEED = Date.now() % 1_000_000
const SESSIONS = 4
const READERS = 20
const CUTS = 50

describe(`streams that break (seed ${SEED})`, () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer({ max_running: SESSIONS })
  })
  afterAll(() => server.stop())

  /** Everything of a session's log, repetitions of inputs included. */
  const whole = async (id: string): Promise<string[]> => {
    const response = await fetch(`${server.url}/v1/sessions/${id}/events/stream?from=start&until=idle`)
    return [...(await response.text()).matchAll(/^id: (\d+)$/gm)].map((match) => match[1]!)
  }

  test('S3 a thousand streams cut at any byte and resumed show every event once', async () => {
    const ids = await Promise.all(
      Array.from({ length: SESSIONS }, async () => (await server.create('flood 2000')).id),
    )
    const readers = Array.from({ length: READERS }, (_, n) => cutReader(server.url, ids[n % SESSIONS]!, random(SEED + n)))
    const seen = await Promise.all(readers)
    expect(seen.reduce((cuts, reader) => cuts + reader.cuts, 0)).toBe(READERS * CUTS)
    for (const { id, events } of seen) {
      const { last_seq: last } = await server.idle(id)
      expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: last }, (_, n) => n + 1))
      expect(events.at(-1)!.type).toBe('session.status_idle')
    }
  }, 120_000)

  test('S3 a reader that stalls slows only itself, and what it has not read costs no memory', async () => {
    const { id } = await server.create('hold')
    await server.event(id, (event) => event.type === 'agent.message')
    const stalled = await Promise.all(Array.from({ length: 10 }, () => openStream(server.url, id, 'from=start')))
    for (const socket of stalled) socket.pause()
    await server.send(id, 'flood 20000')
    const before = process.memoryUsage()
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] })
    let most = 0
    const sampler = setInterval(() => {
      const { external, arrayBuffers } = process.memoryUsage()
      most = Math.max(most, external + arrayBuffers - before.external - before.arrayBuffers)
    }, 20)
    const started = performance.now()
    const { last_seq: last } = await server.idle(id)
    const producing = performance.now() - started
    expect(await whole(id)).toHaveLength(last)
    clearInterval(sampler)
    const { sockets, buffered } = heldBack(server)
    expect(sockets).toBeGreaterThan(0)
    // Some 8 MB of events were made; no reader may hold more than a socket's buffer and one page of it.
    expect(buffered / sockets).toBeLessThan(1_000_000)
    expect(most).toBeLessThan(64_000_000)
    expect(producing).toBeLessThan(50_000)
    // And the stalled one, once it reads, finds everything.
    const [late, ...others] = stalled
    for (const socket of others) socket.destroy()
    expect(await readUntil(late!, last)).toEqual(Array.from({ length: last }, (_, n) => n + 1))
  }, 120_000)
})

function random(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    const t = Math.imul(state ^ (state >>> 15), 1 | state)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
