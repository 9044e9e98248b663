import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { realServer } from '../bench/lib/real-server.ts'
import { median } from '../bench/lib/stats.ts'

/**
 * `node scripts/idle.ts [--connections 10000] [--seconds 30]`: many connections to one server that ask for nothing more:
 * a quarter
 * have made a request and stay, half read the stream of a session, and a quarter have sent half a head or half a body and no
 * more. Tells what each costs, whether others are
 * answered meanwhile, whether all who watch hear what happens, and whether everything is given back. Needs two file
 * descriptors for each connection and both ends on this machine (`ulimit -n`).
 */
const { values } = parseArgs({ options: { connections: { type: 'string' }, seconds: { type: 'string' } } })
const connections = Number(values.connections ?? 10_000)
const seconds = Number(values.seconds ?? 30)
/** Connections that are opened at once: more would fill the backlog of the listening socket. */
const AT_ONCE = 200
const SESSIONS = 50
/** Bytes of the server's own memory that one connection may take. */
const MAX_BYTES = 64 * 1024
/** File descriptors that may be open afterwards besides those of before: kept-alive connections of this script's own. */
const MAX_LEFT = 8

await using server = await realServer({ ANTHROPIC_API_KEY: 'test' }, '/health', undefined, { log_level: 'warn' })
const { port } = new URL(server.url)
const pid = server.child.pid!
const memory = () => Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024
const descriptors = () => readdirSync(`/proc/${pid}/fd`).length
const problems: string[] = []
let lost = 0

interface Open {
  socket: Socket
  /** What has come, its last part. */
  seen: string
  heard: boolean
}

/** What a client sends that never goes on: the server ends it by its time-outs, of 60 s for a head and 300 s for a body. */
const HALVES = [
  'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ',
  'POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"title":"',
]

async function half(words: string): Promise<Open> {
  const socket = connect(Number(port), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(words)
  return { socket, seen: '', heard: true }
}

async function open(path: string, until: string): Promise<Open> {
  const socket = connect(Number(port), '127.0.0.1')
  const self: Open = { socket, seen: '', heard: false }
  const ready = Promise.withResolvers<void>()
  socket.setEncoding('utf8').on('data', (text: string) => {
    self.seen = (self.seen + text).slice(-2_000)
    if (self.seen.includes(until)) ready.resolve()
    if (self.seen.includes('told to all')) self.heard = true
  })
  socket.on('error', (error) => ready.reject(error))
  socket.on('close', () => {
    lost++
    ready.reject(new Error('closed'))
  })
  await once(socket, 'connect')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
  await ready.promise
  return self
}

const ask = async (method: string, path: string, body?: unknown) => {
  const init = {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  }
  const reply = await fetch(server.url + path, init)
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`)
  return (await reply.json()) as { id: string }
}

const sessions: string[] = []
for (let n = 0; n < SESSIONS; n++) sessions.push((await ask('POST', '/v1/sessions', {})).id)
const before = { memory: memory(), descriptors: descriptors() }
const began = performance.now()
const all: Open[] = []
for (let from = 0; from < connections; from += AT_ONCE)
  all.push(
    ...(await Promise.all(
      Array.from({ length: Math.min(AT_ONCE, connections - from) }, (_, index) =>
        (from + index) % 4 === 0
          ? open('/health', 'uptime_seconds')
          : (from + index) % 4 === 2
            ? half(HALVES[((from + index) >> 2) % 2]!)
            : open(`/v1/sessions/${sessions[(from + index) % SESSIONS]}/events/stream`, 'retry:'),
      ),
    )),
  )
const openMs = performance.now() - began
const streams = all.filter((_, index) => index % 2 === 1)
const held = { memory: memory(), descriptors: descriptors() }
const each = (held.memory - before.memory) / connections

/** Milliseconds of requests that others make meanwhile. */
const waits: number[] = []
const end = performance.now() + seconds * 1000
do {
  const at = performance.now()
  await ask('GET', '/v1/sessions?limit=20')
  waits.push(performance.now() - at)
  await delay(20)
} while (performance.now() < end)
waits.sort((a, b) => a - b)

const toldAt = performance.now()
for (const id of new Set(sessions)) await ask('POST', `/v1/sessions/${id}`, { title: 'told to all' })
for (let waited = 0; streams.some(({ heard }) => !heard) && waited < 20_000; waited += 20) await delay(20)
const toldMs = performance.now() - toldAt
const unheard = streams.filter(({ heard }) => !heard).length
const lostEarly = lost
for (const { socket } of all) socket.destroy()
for (let waited = 0; descriptors() > before.descriptors + MAX_LEFT && waited < 20_000; waited += 50) await delay(50)
const left = descriptors() - before.descriptors

const told = [
  [`connections, half of them streams`, String(connections)],
  ['opened in', `${(openMs / 1000).toFixed(1)} s`],
  ['memory of the server for each', `${(each / 1024).toFixed(1)} KiB`],
  [
    'other requests meanwhile, median and 99 %',
    `${median(waits).toFixed(1)} ms, ${waits[Math.floor(waits.length * 0.99)]!.toFixed(1)} ms`,
  ],
  [`${SESSIONS} changes were heard by all who watch in`, `${(toldMs / 1000).toFixed(2)} s`],
  ['file descriptors afterwards, more than before', String(left)],
]
for (const [what, figure] of told) process.stdout.write(`${what!.padEnd(46)}${figure}\n`)
if (lostEarly > 0) problems.push(`${lostEarly} connections were lost`)
if (unheard > 0) problems.push(`${unheard} readers did not hear what happened`)
if (each > MAX_BYTES)
  problems.push(`a connection takes ${Math.round(each / 1024)} KiB; at most ${MAX_BYTES / 1024} may`)
if (left > MAX_LEFT) problems.push(`${left} file descriptors were not given back`)
for (const problem of problems) process.stdout.write(`✗ ${problem}\n`)
process.exitCode = problems.length > 0 ? 1 : 0
