import type { SessionEvent } from '@troupe/protocol/event'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FAKE_AGENT, testEnv } from './support/server.ts'

const SEED = Date.now() % 1_000_000
const SESSIONS = 4
const READERS = 20
const CUTS = 50
/** Bytes that a stream gives before it is cut, at most. */
const MAX_BYTES = 16_000

// In a process of its own, so that its memory is its own.
let child: ChildProcess
let url: string
const folder = mkdtempSync(join(tmpdir(), 'troupe-cuts-'))

beforeAll(async () => {
  const flags = { port: 0, data_dir: join(folder, 'data'), agent_executable: FAKE_AGENT, max_running: SESSIONS }
  const script = fileURLToPath(new URL('support/serve-child.ts', import.meta.url))
  child = spawn(process.execPath, [script, JSON.stringify(flags), folder], {
    env: testEnv({ ANTHROPIC_API_KEY: 'test' }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout!, 'data')) as [Buffer]
  url = (JSON.parse(String(line)) as { url: string }).url
})
afterAll(async () => {
  child.kill()
  await once(child, 'exit')
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
})

test(`L4 a thousand streams cut at any byte and resumed show every event once (seed ${SEED})`, async () => {
  const ids = await Promise.all(Array.from({ length: SESSIONS }, () => create('flood 1700')))
  const seen = await Promise.all(
    Array.from({ length: READERS }, (_, n) => cutReader(ids[n % SESSIONS]!, random(SEED + n))),
  )
  expect(seen.reduce((sum, { cuts }) => sum + cuts, 0)).toBe(READERS * CUTS)
  for (const { id, events } of seen) {
    const last = await lastSeq(id)
    expect(events.map(({ seq }) => seq)).toEqual(upTo(last))
    expect(events.at(-1)!.type).toBe('session.status_idle')
  }
})

test('L7 readers that stall slow only themselves, and what they leave unread is not kept for them', async () => {
  const id = await create('say ready')
  await lastSeq(id)
  const before = memory()
  const stalled = await Promise.all(Array.from({ length: 30 }, () => stall(id)))
  // Every prompt comes back: in the log it stands five times.
  for (let n = 0; n < 15; n++) await send(id, `say ${'x'.repeat(400_000)}`)
  const last = await lastSeq(id)
  const whole = await read(await open(id, {}, '?from=start'), Infinity, last)
  expect(whole.events.map(({ seq }) => seq)).toEqual(upTo(last))
  const live = memory() - before
  stalled.push(...(await Promise.all(Array.from({ length: 30 }, () => stall(id)))))
  await read(await open(id, {}, '?from=start'), Infinity, last)
  const replay = memory() - before
  const [late, ...others] = stalled
  for (const response of others) response.destroy()
  expect((await read(late!, Infinity, last)).events.map(({ seq }) => seq)).toEqual(upTo(last))
  // Kept for each, 30 MB would be 900 MB the first time, and as much again.
  expect({ live: live < 450e6, replay: replay < 600e6, at: [live, replay] }).toMatchObject({ live: true, replay: true })
})

/** A reader that has begun at the beginning and takes nothing. */
async function stall(id: string): Promise<IncomingMessage> {
  return (await open(id, {}, '?from=start')).pause()
}

/** Reads a session's log in pieces of random length, resuming by header, by number or by event id, then to its end. */
async function cutReader(id: string, chance: () => number) {
  const events: SessionEvent[] = []
  let cuts = 0
  for (; cuts < CUTS; cuts++) {
    const piece = await read(await resume(id, events.at(-1), chance()), Math.floor(chance() * MAX_BYTES))
    events.push(...piece.events)
  }
  const last = await lastSeq(id)
  if (events.at(-1)?.seq !== last)
    events.push(...(await read(await resume(id, events.at(-1), 0), Infinity, last)).events)
  return { id, events, cuts }
}

function resume(id: string, last: SessionEvent | undefined, how: number): Promise<IncomingMessage> {
  if (last === undefined) return open(id, {}, '?from=start')
  // An input has one id and, once it is taken, two numbers.
  if (how < 0.3 && !last.type.startsWith('user.')) return open(id, {}, `?after=${last.id}`)
  if (how < 0.6) return open(id, {}, `?after=${last.seq}`)
  return open(id, { 'last-event-id': String(last.seq) }, how < 0.8 ? '' : '?from=start')
}

async function open(id: string, headers: Record<string, string>, query: string): Promise<IncomingMessage> {
  const request = get(`${url}/v1/sessions/${id}/events/stream${query}`, { headers, agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  expect(response.statusCode).toBe(200)
  return response
}

/** The whole frames among the first `bytes` of a stream; what follows is as if it had never arrived. */
async function read(response: IncomingMessage, bytes = Infinity, last = Infinity): Promise<{ events: SessionEvent[] }> {
  const events: SessionEvent[] = []
  const parts: Buffer[] = []
  let rest = ''
  let left = bytes
  for await (const chunk of response as AsyncIterable<Buffer>) {
    parts.push(chunk.subarray(0, left))
    left -= Math.min(left, chunk.length)
    if (left > 0 && !chunk.includes('\n\n')) continue
    const blocks = (rest + Buffer.concat(parts.splice(0)).toString('latin1')).split('\n\n')
    rest = blocks.pop()!
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)
      if (data) events.push(JSON.parse(data[1]!) as SessionEvent)
    }
    if (left === 0 || events.at(-1)?.seq === last) break
  }
  response.destroy()
  return { events }
}

const upTo = (last: number) => Array.from({ length: last }, (_, n) => n + 1)

async function create(prompt: string): Promise<string> {
  return (await post<{ id: string }>('/v1/sessions', { initial_events: [message(prompt)] })).id
}

const send = (id: string, prompt: string) => post(`/v1/sessions/${id}/events`, { events: [message(prompt)] })
const message = (prompt: string) => ({ type: 'user.message', content: [{ type: 'text', text: prompt }] })

async function post<T>(path: string, body: unknown): Promise<T> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  expect(response.status).toBe(200)
  return (await response.json()) as T
}

/** The number of the last event of a session that is idle. */
async function lastSeq(id: string): Promise<number> {
  const response = await fetch(`${url}/v1/sessions/${id}?wait_for=idle&timeout=100`)
  const session = (await response.json()) as { status: string; last_seq: number }
  expect(session.status).toBe('idle')
  return session.last_seq
}

/** Resident bytes of the server. */
function memory(): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]) * 1024
}

function random(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    const t = Math.imul(state ^ (state >>> 15), 1 | state)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
