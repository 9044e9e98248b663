import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { uuidToId } from '@troupe/protocol/ids'
import type { Turn } from '@troupe/protocol/turn'
import Sqlite from 'better-sqlite3'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { FAKE_AGENT, frames, testEnv } from './server.ts'

/**
 * Chaos: random work over HTTP against a server that is killed again and again on the same data folder, and then a
 * look at everything that must hold. One seed decides what is tried; how it interleaves is the machine's.
 */
export interface ChaosOptions {
  seed: number
  kills: number
  /** Told once a round. */
  log?: (line: string) => void
}

export interface ChaosReport {
  seed: number
  kills: number
  counts: Record<string, number>
  /** What does not hold, in words; empty when all is well. */
  problems: string[]
}

const WORKERS = 6
const READERS = 4
const SLOTS = 3
/** Sessions at work beyond which the workers only read, so that the end comes soon. */
const MAX_OPEN = 20

/** Kills a working server `kills` times and answers with what did not hold. Never rejects for a broken promise. */
export async function runChaos({ seed, kills, log }: ChaosOptions): Promise<ChaosReport> {
  const world = new World(seed)
  try {
    const killer = random(seed, 'kill')
    const stop = new AbortController()
    await world.server.start()
    const readers = Array.from({ length: READERS }, (_, n) => readStreams(world, random(seed, `reader ${n}`)))
    const workers = Array.from({ length: WORKERS }, (_, n) => work(world, random(seed, `worker ${n}`), stop.signal))
    for (let round = 1; round <= kills; round++) {
      await delay(killer.int(20, 1_500))
      await world.server.kill()
      // Some servers die while they start.
      if (killer.chance(0.15)) {
        const starting = world.server.start()
        await delay(killer.int(0, 700))
        await world.server.kill()
        await starting
        world.count('killed while starting')
      }
      await world.server.start()
      await noOrphans(world)
      log?.(`kill ${round}/${kills}: ${JSON.stringify(world.counts)}`)
    }
    await delay(300)
    stop.abort()
    await Promise.all(workers)
    await calmDown(world)
    world.calm = true
    const seen = await Promise.all(readers)
    await verify(world, seen.flat())
    await world.server.terminate()
    verifyDisk(world)
  } catch (error) {
    world.problem(`the run broke off: ${error instanceof Error ? error.stack : String(error)}`)
  } finally {
    world.calm = true
    await world.server.kill()
    if (world.problems.length === 0) rmSync(world.folder, { recursive: true, force: true, maxRetries: 3 })
  }
  return { seed, kills, counts: world.counts, problems: world.problems }
}

// Chance

interface Random {
  int(min: number, max: number): number
  chance(p: number): boolean
  pick<T>(from: readonly T[]): T
}

/** A stream of its own for each name, so that one part's draws do not move another's. */
function random(seed: number, name: string): Random {
  let state = seed >>> 0
  for (const char of name) state = Math.imul(state ^ char.charCodeAt(0), 0x9e3779b1) >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  return { int, chance: (p) => next() < p, pick: (from) => from[int(0, from.length - 1)]! }
}

// The server under test

class Server {
  readonly #folder: string
  readonly #mark: string
  #child: ChildProcess | null = null
  #up = Promise.withResolvers<string>()
  #serving = false
  generation = 0

  constructor(folder: string, mark: string) {
    this.#folder = folder
    this.#mark = mark
  }

  /** Resolves with the address once a server answers there. */
  get url(): Promise<string> {
    return this.#up.promise
  }

  /** Resolves when it serves, or when it was killed before it did. */
  async start(): Promise<void> {
    this.generation++
    const flags = {
      port: 0,
      data_dir: join(this.#folder, 'data'),
      agent_executable: join(this.#folder, 'agent.mjs'),
      max_running: SLOTS,
      drain_seconds: 1,
    }
    const env = testEnv({
      ANTHROPIC_API_KEY: 'test',
      // Names that reach the agent, and by which its processes are known.
      CLAUDE_CODE_CHAOS: this.#mark,
      CLAUDE_CODE_CHAOS_GENERATION: String(this.generation),
      CLAUDE_CODE_CHAOS_TRACE: join(this.#folder, 'trace'),
    })
    const child = spawn(process.execPath, [SERVE_CHILD, JSON.stringify(flags), this.#folder], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4_000)))
    const lines = createInterface({ input: child.stdout })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    lines.once('line', (line) => {
      if (this.#child !== child) return
      this.#serving = true
      this.#up.resolve((JSON.parse(line) as { url: string }).url)
      resolve()
    })
    child.once('exit', (code, signal) => {
      if (signal === 'SIGKILL') resolve()
      else reject(new Error(`the server ended with ${code ?? signal}: ${stderr}`))
    })
    await promise
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Ends it as an operator would. */
  async terminate(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = null
    // Who waits for one that died while it started waits for the next.
    if (this.#serving) this.#up = Promise.withResolvers<string>()
    this.#serving = false
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await gone
  }
}

const SERVE_CHILD = fileURLToPath(new URL('serve-child.ts', import.meta.url))

/** The scripted agent, which first notes every prompt it is given. Appending is atomic and survives any kill. */
const AGENT = `
import { appendFileSync } from 'node:fs'
import ${JSON.stringify(FAKE_AGENT)}
let rest = ''
process.stdin.prependListener('data', (chunk) => {
  const lines = (rest + chunk).split('\\n')
  rest = lines.pop()
  for (const line of lines)
    if (line.includes('"type":"user"')) appendFileSync(process.env.CLAUDE_CODE_CHAOS_TRACE, line + '\\n')
})
`

// What was asked for, and what was answered

interface KnownSession {
  id: string
  /** Somebody asked to erase it: from then on it may be gone. */
  doomed: boolean
  erased: boolean
}

interface Ask {
  nonce: string
  /** Set once a 2xx said so. */
  eventId: string | null
  sessionId: string | null
  refused: boolean
  /** The session was asked to be erased at any time until the answer came. */
  session: KnownSession | null
}

class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'troupe-chaos-'))
  readonly mark = randomUUID()
  readonly server = new Server(this.folder, this.mark)
  readonly sessions: KnownSession[] = []
  readonly asks: Ask[] = []
  readonly externalIds: string[] = []
  readonly counts: Record<string, number> = {}
  readonly problems: string[] = []
  /** All work is done: readers end when they have everything. */
  calm = false
  open = 0
  #nonces = 0

  constructor(seed: number) {
    this.#nonces = (seed % 10) * 10_000_000
    writeFileSync(join(this.folder, 'agent.mjs'), AGENT)
    writeFileSync(join(this.folder, 'trace'), '')
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by
  }

  problem(text: string): void {
    this.problems.push(text)
  }

  ask(session: KnownSession | null): Ask {
    const ask: Ask = {
      nonce: String(++this.#nonces).padStart(8, '0'),
      eventId: null,
      sessionId: null,
      refused: false,
      session,
    }
    this.asks.push(ask)
    return ask
  }

  know(id: string): KnownSession {
    const known = this.sessions.find((session) => session.id === id) ?? { id, doomed: false, erased: false }
    if (!this.sessions.includes(known)) this.sessions.push(known)
    return known
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch((await this.server.url) + path)
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as T
  }
}

interface Answer {
  status: number
  body: Record<string, unknown> & { data?: { id: string }[]; code?: string }
}

/** One try. Null: no answer, so nobody knows whether it was done. */
async function attempt(
  world: World,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string>,
  patience: number,
): Promise<Answer | null> {
  try {
    const response = await fetch((await world.server.url) + path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(patience),
    })
    const text = await response.text()
    if (response.status >= 500) world.problem(`${method} ${path} answered ${response.status}: ${text}`)
    return { status: response.status, body: JSON.parse(text) as Answer['body'] }
  } catch {
    return null
  }
}

/** Asks until there is an answer, the same way each time; or gives up, as callers do. Some leave before the answer. */
async function insist(
  world: World,
  chance: Random,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer | null> {
  for (let tries = 1; ; tries++) {
    const hasty = tries === 1 && chance.chance(0.1)
    const answer = await attempt(world, method, path, body, headers, hasty ? chance.int(1, 15) : 20_000)
    if (answer?.body.code === 'idempotency_in_progress') await delay(20)
    else if (answer) {
      if (tries > 1) world.count('retried to an answer')
      return answer
    } else if (!hasty && chance.chance(0.15)) {
      world.count('left without an answer')
      return null
    }
  }
}

// Work

const text = (words: string) => ({ type: 'user.message', content: [{ type: 'text', text: words }] })

/** The number stands behind a point in every prompt, so that even a count carries it. */
function promptFor(chance: Random, { nonce }: Ask): string {
  const part = chance.int(1, 100)
  if (part <= 10) return `flood ${chance.int(1, 40)}.${nonce}`
  if (part <= 18) return `hold .${nonce}`
  if (part <= 22) return `crash .${nonce}`
  if (part <= 25) return `stubborn .${nonce}`
  if (part <= 28) return `orphan .${nonce}`
  return `say x.${nonce}`
}

async function work(world: World, chance: Random, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const session = world.sessions.length > 0 ? chance.pick(world.sessions.slice(-30)) : null
    const busy = world.open > MAX_OPEN
    const dice = chance.int(1, 100)
    if (!session || (dice <= 25 && !busy)) await create(world, chance)
    else if (dice <= 55 && !busy) await send(world, chance, session)
    else if (dice <= 62 && !busy) await resume(world, chance, session)
    else if (dice <= 76) await interrupt(world, chance, session)
    else if (dice <= 82) await cancel(world, chance, session)
    else if (dice <= 87) await erase(world, chance, session)
    else if (dice <= 89) await insist(world, chance, 'POST', `/v1/sessions/${session.id}/archive`, undefined)
    else {
      const running = await attempt(world, 'GET', RUNNING, undefined, {}, 5_000)
      if (running) world.open = running.body.data!.length
    }
    await delay(chance.int(0, 150))
  }
}

const RUNNING = '/v1/sessions?limit=1000&statuses[]=running&statuses[]=rescheduling'

/** Creates a session by either API, with the natural key, the header or both. */
async function create(world: World, chance: Random): Promise<void> {
  const ask = world.ask(null)
  const prompt = promptFor(chance, ask)
  const origin = chance.chance(0.3)
  const external = !origin && chance.chance(0.6) ? `ext-${ask.nonce}` : undefined
  const keyed = external === undefined || chance.chance(0.3)
  const key: Record<string, string> = keyed ? { 'idempotency-key': `key-${ask.nonce}` } : {}
  const clientId = chance.chance(0.5) ? { client_id: ask.nonce } : {}
  if (external !== undefined) world.externalIds.push(external)
  const body = origin
    ? { prompt }
    : { initial_events: [{ ...text(prompt), ...clientId }], ...(external !== undefined && { external_id: external }) }
  const path = origin ? '/execute/' : '/v1/sessions'
  const answer = await insist(world, chance, 'POST', path, body, key)
  if (!answer) return
  const id = String(origin ? answer.body.session_id : answer.body.uuid)
  if (answer.status !== 200) return world.problem(`a create was refused: ${JSON.stringify(answer)}`)
  world.count('creates acknowledged')
  ask.sessionId = id
  ask.session = world.know(id)
  if (!keyed || !chance.chance(0.2)) return
  const again = await insist(world, chance, 'POST', path, body, key)
  if (again && (again.status !== 200 || (origin ? again.body.session_id : again.body.uuid) !== id))
    world.problem(`the same key gave ${id}, then ${JSON.stringify(again)}`)
}

async function send(world: World, chance: Random, session: KnownSession): Promise<void> {
  const asks = Array.from({ length: chance.chance(0.1) ? 3 : 1 }, () => world.ask(session))
  const byKey = chance.chance(0.4)
  const events = asks.map((ask) => ({
    ...text(asks.length > 1 ? `say x.${ask.nonce}` : promptFor(chance, ask)),
    ...(!byKey && { client_id: `client-${ask.nonce}` }),
  }))
  const headers: Record<string, string> = byKey ? { 'idempotency-key': `key-${asks[0]!.nonce}` } : {}
  const path = `/v1/sessions/${session.id}/events`
  const answer = await insist(world, chance, 'POST', path, { events }, headers)
  if (!answer) return
  for (const [index, ask] of asks.entries())
    if (answer.status === 200) {
      ask.eventId = answer.body.data![index]!.id
      ask.sessionId = session.id
    } else ask.refused = true
  world.count(answer.status === 200 ? 'sends acknowledged' : `sends refused: ${answer.body.code}`)
  if (answer.status !== 200 || !chance.chance(0.2)) return
  const again = await insist(world, chance, 'POST', path, { events }, headers)
  const ids = again?.body.data?.map((event) => event.id)
  if (again?.status === 200 && ids!.join() !== asks.map((ask) => ask.eventId).join())
    world.problem(`the same send gave ${asks.map((ask) => ask.eventId).join()}, then ${ids!.join()}`)
}

async function resume(world: World, chance: Random, session: KnownSession): Promise<void> {
  const ask = world.ask(session)
  const body = { prompt: promptFor(chance, ask), resume_session_id: session.id }
  const answer = await insist(world, chance, 'POST', '/execute/', body, { 'idempotency-key': `key-${ask.nonce}` })
  if (answer?.status === 200) ask.sessionId = session.id
  else if (answer) ask.refused = true
  if (answer) world.count(answer.status === 200 ? 'resumes acknowledged' : 'resumes refused')
}

async function interrupt(world: World, chance: Random, session: KnownSession): Promise<void> {
  const mode = chance.chance(0.3) ? { mode: 'now' } : { grace_ms: chance.int(0, 300) }
  await insist(world, chance, 'POST', `/v1/sessions/${session.id}/events`, {
    events: [{ type: 'user.interrupt', ...mode }],
  })
  world.count('interrupts')
}

async function cancel(world: World, chance: Random, session: KnownSession): Promise<void> {
  world.count('cancels')
  if (chance.chance(0.5)) return void (await insist(world, chance, 'POST', `/cancel/${session.id}`, undefined))
  const turns = await attempt(world, 'GET', `/v1/sessions/${session.id}/turns?order=desc`, undefined, {}, 5_000)
  const turn = turns?.status === 200 ? turns.body.data![0] : undefined
  if (turn) await insist(world, chance, 'POST', `/v1/sessions/${session.id}/turns/${turn.id}/cancel`, { mode: 'now' })
}

async function erase(world: World, chance: Random, session: KnownSession): Promise<void> {
  session.doomed = true
  const path = chance.chance(0.5) ? `/v1/sessions/${session.id}` : `/sessions/${session.id}`
  const headers: Record<string, string> = chance.chance(0.3) ? { 'idempotency-key': `key-${randomUUID()}` } : {}
  const answer = await insist(world, chance, 'DELETE', path, undefined, headers)
  if (answer?.status === 200) {
    session.erased = true
    world.count('deletes acknowledged')
  }
}

// Watching

interface Seen {
  sessionId: string
  /** In the order they came. */
  events: SessionEvent[]
  gone: boolean
}

/** Reads sessions from their first event over every kill, by Last-Event-ID; in the end to the last event. */
async function readStreams(world: World, chance: Random): Promise<Seen[]> {
  const all: Seen[] = []
  while (!world.calm) {
    const fresh = world.sessions.filter(({ id, doomed }) => !doomed && !all.some((seen) => seen.sessionId === id))
    if (fresh.length === 0) {
      await delay(50)
      continue
    }
    const seen: Seen = { sessionId: chance.pick(fresh).id, events: [], gone: false }
    all.push(seen)
    const deadline = Date.now() + chance.int(500, 8_000)
    while (!seen.gone && (!world.calm || seen.events.length === 0) && Date.now() < deadline)
      await readOnce(world, seen, false, chance.chance(0.3) ? chance.int(5, 200) : 5_000)
  }
  for (const seen of all) if (!seen.gone) await readOnce(world, seen, true, 10_000)
  return all
}

async function readOnce(world: World, seen: Seen, toTheEnd: boolean, patience: number): Promise<void> {
  const last = seen.events.at(-1)?.seq
  // When all is calm the end is known: read to it.
  const goal = !toTheEnd ? Infinity : (await finalSession(world, seen))?.last_seq
  if (goal === undefined || goal === last) return
  try {
    const signal = AbortSignal.timeout(patience)
    const response = await fetch(`${await world.server.url}/v1/sessions/${seen.sessionId}/events/stream?from=start`, {
      signal,
      headers: last === undefined ? {} : { 'last-event-id': String(last) },
    })
    if (response.status === 410 || response.status === 404) {
      seen.gone = true
      return
    }
    for await (const event of frames(response)) {
      seen.events.push(event)
      if (event.seq >= goal) return
    }
    world.count('streams ended')
  } catch {
    world.count('streams cut')
  }
}

async function finalSession(world: World, seen: Seen): Promise<Session | undefined> {
  const session = await attempt(world, 'GET', `/v1/sessions/${seen.sessionId}`, undefined, {}, 20_000)
  if (session?.status === 200) return session.body as unknown as Session
  seen.gone = true
  return undefined
}

// The end

/** Processes of earlier servers' agents, by their environment. */
function agentProcesses(mark: string, before: number): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const environ = readFileSync(`/proc/${pid}/environ`, 'utf8')
      if (!environ.includes(`CLAUDE_CODE_CHAOS=${mark}`)) return []
      const generation = Number(/CLAUDE_CODE_CHAOS_GENERATION=(\d+)/.exec(environ)?.[1])
      if (generation >= before) return []
      // A zombie has ended; it only waits to be counted.
      if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return []
      return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`]
    } catch {
      return []
    }
  })
}

async function noOrphans(world: World): Promise<void> {
  if (process.platform !== 'linux') return
  const { generation } = world.server
  // What is being killed may need a moment to be gone.
  for (let tries = 0; agentProcesses(world.mark, generation).length > 0; tries++) {
    if (tries === 20) {
      world.problem(`agents outlived their server: ${agentProcesses(world.mark, generation).join('; ')}`)
      return
    }
    await delay(50)
  }
}

/** Waits until every session is idle; ends the turns that would never end by themselves. */
async function calmDown(world: World): Promise<void> {
  const since = new Map<string, number>()
  for (const deadline = Date.now() + 120_000; ;) {
    const { data } = await world.get<{ data: Session[] }>(RUNNING)
    if (data.length === 0) return
    if (Date.now() > deadline) {
      world.problem(`sessions still run: ${data.map(({ id }) => id).join()}`)
      return
    }
    for (const { id, current_turn_id: turn } of data) {
      if (turn === null) continue
      const first = since.get(turn) ?? Date.now()
      since.set(turn, first)
      if (Date.now() - first > 1_500)
        await attempt(world, 'POST', `/v1/sessions/${id}/events`, INTERRUPT_NOW, {}, 20_000)
    }
    await delay(100)
  }
}

const INTERRUPT_NOW = { events: [{ type: 'user.interrupt', mode: 'now' }] }

interface Log {
  session: Session
  events: SessionEvent[]
  turns: Turn[]
}

async function verify(world: World, seen: Seen[]): Promise<void> {
  const { data } = await world.get<{ data: Session[]; next_page: string | null }>(
    '/v1/sessions?limit=1000&include_archived=true',
  )
  const logs = new Map<string, Log>()
  for (const session of data) {
    const events: SessionEvent[] = []
    const response = await fetch(`${await world.server.url}/v1/sessions/${session.id}/events/stream?from=start`)
    for await (const event of frames(response)) {
      events.push(event)
      if (event.seq >= session.last_seq) break
    }
    const turns = await world.get<{ data: Turn[] }>(`/v1/sessions/${session.id}/turns?limit=1000`)
    logs.set(String(session.uuid), { session, events, turns: turns.data })
  }
  const given = readFileSync(join(world.folder, 'trace'), 'utf8')
  const deliveries = tally([...given.matchAll(NONCE)].map((match) => match[1]!))
  for (const log of logs.values()) verifyLog(world, log, deliveries)
  verifyAsks(world, logs, deliveries)
  for (const { sessionId, events, gone } of seen) {
    const log = logs.get(sessionId)
    if (gone || !log) continue
    world.count('events seen by streams', events.length)
    if (events.map(({ seq, id }) => `${seq} ${id}`).join() !== log.events.map(({ seq, id }) => `${seq} ${id}`).join())
      world.problem(`a reader of ${sessionId} saw ${events.map(({ seq }) => seq).join()} of ${log.session.last_seq}`)
  }
  world.count('sessions in the end', logs.size)
}

const NONCE = /\.(\d{8})\b/g

function tally(values: string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

const nonces = (event: SessionEvent) => [...JSON.stringify(event.content).matchAll(NONCE)].map((match) => match[1]!)

/** One session's log and turns, against each other and against what the agents were given. */
function verifyLog(world: World, { session, events, turns }: Log, deliveries: Map<string, number>): void {
  const wrong = (what: string) => world.problem(`${session.id}: ${what}`)
  if (session.status !== 'idle' && session.status !== 'terminated') wrong(`is ${session.status}`)
  if (events.some((event, index) => event.seq !== index + 1) || events.length !== session.last_seq)
    wrong(`has seqs ${events.map(({ seq }) => seq).join()}, last_seq ${session.last_seq}`)
  world.count('events', events.length)
  for (const turn of turns) {
    world.count(`turns ${turn.status}`)
    const of = (type: string) => events.filter((event) => event.type === type && event.turn_id === turn.id)
    const ends = ['completed', 'failed', 'cancelled'].flatMap((status) => of(`turn.${status}`))
    if (ends.length !== 1 || ends[0]!.type !== `turn.${turn.status}`)
      wrong(`${turn.id} is ${turn.status} and ended ${ends.length} times`)
    const copies = events.filter((event) => turn.input_event_ids.includes(event.id))
    const inputs = copies.filter((event) => event.processed_at === null)
    const taken = copies.filter((event) => event.processed_at !== null)
    if (inputs.length !== turn.input_event_ids.length) wrong(`${turn.id} has ${inputs.length} inputs`)
    const started = of('turn.started').length
    if (started > 1 || taken.length !== (started ? inputs.length : 0))
      wrong(`${turn.id} started ${started} times and took ${taken.length} of ${inputs.length} inputs`)
    const got = inputs.flatMap(nonces).map((nonce) => deliveries.get(nonce) ?? 0)
    if (started === 0 && (turn.status !== 'cancelled' || got.some((times) => times > 0)))
      wrong(`${turn.id} is ${turn.status}, was delivered ${got.join()} and never started`)
    if (turn.status === 'completed' && got.some((times) => times !== 1))
      wrong(`${turn.id} is completed and its inputs were delivered ${got.join()} times`)
    const said = of('agent.message').map((event) => (event.content as { text: string }[])[0]!.text)
    const prompt = (inputs[0]!.content as { text: string }[])[0]!.text
    const count = /^flood (\d+)/.exec(prompt)?.[1]
    if (turn.status === 'completed' && count !== undefined) {
      const expected = Array.from({ length: Number(count) }, (_, n) => `message ${n + 1}`)
      if (said.join() !== expected.join()) wrong(`${turn.id} said ${said.join()} instead of ${count} messages`)
    }
    if (turn.status !== 'failed') continue
    const code = (turn.error as { code?: string } | null)?.code
    if (code !== 'server_restarted' && !(code === 'process_crashed' && prompt.startsWith('crash')))
      wrong(`${turn.id} of ${JSON.stringify(prompt)} failed with ${JSON.stringify(turn.error)}`)
  }
}

/** What callers were told, against what is there. */
function verifyAsks(world: World, logs: Map<string, Log>, deliveries: Map<string, number>): void {
  const inputs = new Map<string, { sessionId: string; eventId: string }[]>()
  for (const [sessionId, { events }] of logs)
    for (const event of events)
      if (event.type === 'user.message' && event.processed_at === null)
        for (const nonce of nonces(event))
          inputs.set(nonce, [...(inputs.get(nonce) ?? []), { sessionId, eventId: event.id }])
  for (const { nonce, eventId, sessionId, refused, session } of world.asks) {
    const found = inputs.get(nonce) ?? []
    const times = deliveries.get(nonce) ?? 0
    if (times > 1) world.problem(`prompt ${nonce} was delivered ${times} times`)
    if (found.length > 1) world.problem(`prompt ${nonce} is there ${found.length} times: ${JSON.stringify(found)}`)
    if (refused && !session?.doomed && (found.length > 0 || times > 0))
      world.problem(`prompt ${nonce} was refused, and is there`)
    if (sessionId === null || session?.doomed) continue
    if (found[0]?.sessionId !== sessionId || (eventId !== null && found[0].eventId !== eventId))
      world.problem(`prompt ${nonce} was acknowledged as ${sessionId} ${eventId}; there is ${JSON.stringify(found)}`)
  }
  for (const { id, doomed, erased } of world.sessions)
    if (erased === logs.has(id) && (erased || !doomed))
      world.problem(`${id} was ${erased ? 'erased, and is there' : 'acknowledged, and is not there'}`)
  const external = tally([...logs.values()].map(({ session }) => session.external_id ?? '').filter(Boolean))
  for (const id of world.externalIds)
    if ((external.get(id) ?? 0) > 1) world.problem(`there are ${external.get(id)} sessions ${id}`)
}

/** What is left on the disk of a server that has ended. */
function verifyDisk(world: World): void {
  const data = join(world.folder, 'data')
  const db = new Sqlite(join(data, 'troupe.db'), { readonly: true })
  const sound = db.pragma('integrity_check', { simple: true })
  if (sound !== 'ok') world.problem(`the database is damaged: ${String(sound)}`)
  const rows = (table: 'sessions' | 'tombstones') =>
    new Set((db.prepare(`select id from ${table}`).all() as { id: string }[]).map(({ id }) => id))
  const [there, erased] = [rows('sessions'), rows('tombstones')]
  const left = readdirSync(join(data, 'sessions')).map((uuid) => uuidToId('sesn', uuid))
  const of = (ids: string[]) => (ids.length > 0 ? `${ids.length}, such as ${ids[0]}` : null)
  const undead = of(left.filter((id) => erased.has(id)))
  const unborn = of(left.filter((id) => !erased.has(id) && !there.has(id)))
  if (undead) world.problem(`folders of erased sessions are left: ${undead}`)
  if (unborn) world.problem(`folders without a session are left: ${unborn}`)
  db.close()
  if (readdirSync(join(data, 'agents')).length > 0) world.problem('pid files are left')
  const alive = process.platform === 'linux' ? agentProcesses(world.mark, Infinity) : []
  if (alive.length > 0) world.problem(`agents outlived the drain: ${alive.join('; ')}`)
}
