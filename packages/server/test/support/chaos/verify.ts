import { verifyLedger } from './verify-ledger.ts'
import { setTimeout as delay } from 'node:timers/promises'
import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { uuidToId } from '@troupe/protocol/ids'
import type { Turn } from '@troupe/protocol/turn'
import Sqlite from 'better-sqlite3'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { frames } from '../server.ts'
import type { Seen } from './watch.ts'
import { RUNNING } from './work.ts'
import type { Server } from './server.ts'
import { type Findings, type World, attempt } from './world.ts'

/** Processes of earlier servers' agents, by their environment. */
export function agentProcesses(mark: string, before: number): string[] {
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

export async function noOrphans(world: Findings & { readonly mark: string; readonly server: Server }): Promise<void> {
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
export async function calmDown(world: World): Promise<void> {
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

export const INTERRUPT_NOW = { events: [{ type: 'user.interrupt', mode: 'now' }] }

export interface Log {
  session: Session
  events: SessionEvent[]
  turns: Turn[]
}

export async function verify(world: World, seen: Seen[]): Promise<void> {
  const sessions: Session[] = []
  for (let page: string | null = ''; page !== null;) {
    const from = page === '' ? '' : `&page=${encodeURIComponent(page)}`
    const list: { data: Session[]; next_page: string | null } = await world.get(
      `/v1/sessions?limit=1000&include_archived=true${from}`,
    )
    sessions.push(...list.data)
    page = list.next_page
  }
  const logs = new Map<string, Log>()
  for (const session of sessions) {
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

export const NONCE = /\.(\d{8})\b/g

export function tally(values: string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

export const nonces = (event: SessionEvent) =>
  [...JSON.stringify(event.content).matchAll(NONCE)].map((match) => match[1]!)

/** One session's log and turns, against each other and against what the agents were given. */
export function verifyLog(world: Findings, log: Log, deliveries: Map<string, number>): void {
  verifyTurns(world, log, deliveries)
  const wrong = (what: string) => world.problem(`${log.session.id}: ${what}`)
  for (const turn of log.turns) {
    const of = (type: string) => log.events.filter((event) => event.type === type && event.turn_id === turn.id)
    const input = log.events.find(({ id }) => id === turn.input_event_ids[0])
    const prompt = (input!.content as { text: string }[])[0]!.text
    const said = of('agent.message').map((event) => (event.content as { text: string }[])[0]!.text)
    const count = /^flood (\d+)/.exec(prompt)?.[1]
    if (turn.status === 'completed' && count !== undefined && of('turn.resumed').length === 0) {
      const expected = Array.from({ length: Number(count) }, (_, n) => `message ${n + 1}`)
      if (said.join() !== expected.join()) wrong(`${turn.id} said ${said.join()} instead of ${count} messages`)
    }
    if (turn.status !== 'failed') continue
    const code = (turn.error as { code?: string } | null)?.code
    if (code !== 'server_restarted' && !(code === 'process_crashed' && prompt.startsWith('crash')))
      wrong(`${turn.id} of ${JSON.stringify(prompt)} failed with ${JSON.stringify(turn.error)}`)
  }
}

/** That each turn ended once, took each of its inputs once, and gave them to the agent once, or again when it was cut. */
export function verifyTurns(world: Findings, { session, events, turns }: Log, deliveries: Map<string, number>): void {
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
    // An input that was edited while it waited is there again, as it became.
    const waiting = copies.filter((event) => event.processed_at === null)
    const inputs = waiting.filter(({ id }, index) => waiting.findLastIndex((event) => event.id === id) === index)
    const taken = copies.filter((event) => event.processed_at !== null)
    if (inputs.length !== turn.input_event_ids.length) wrong(`${turn.id} has ${inputs.length} inputs`)
    const started = of('turn.started').length
    if (started > 1 || taken.length !== (started ? inputs.length : 0))
      wrong(`${turn.id} started ${started} times and took ${taken.length} of ${inputs.length} inputs`)
    const got = inputs.flatMap(nonces).map((nonce) => deliveries.get(nonce) ?? 0)
    if (started === 0 && (turn.status !== 'cancelled' || got.some((times) => times > 0)))
      wrong(`${turn.id} is ${turn.status}, was delivered ${got.join()} and never started`)
    // A turn that was cut and goes on by itself may be given to an agent again: nothing of it had taken effect.
    const resumed = of('turn.resumed').length
    if (turn.status === 'completed' && got.some((times) => times < 1 || times > 1 + resumed))
      wrong(`${turn.id} is completed and its inputs were delivered ${got.join()} times`)
  }
}

/** What callers were told, against what is there. */
export function verifyAsks(world: World, logs: Map<string, Log>, deliveries: Map<string, number>): void {
  const inputs = new Map<string, { sessionId: string; eventId: string }[]>()
  const resumed = new Map<string, number>()
  for (const { events } of logs.values())
    for (const { type, turn_id } of events)
      if (type === 'turn.resumed') resumed.set(turn_id!, (resumed.get(turn_id!) ?? 0) + 1)
  const again = new Map<string, number>()
  for (const [sessionId, { events }] of logs)
    for (const event of events)
      if (event.type === 'user.message' && event.processed_at === null)
        for (const nonce of nonces(event)) {
          again.set(nonce, resumed.get(event.turn_id ?? '') ?? 0)
          inputs.set(nonce, [...(inputs.get(nonce) ?? []), { sessionId, eventId: event.id }])
        }
  for (const { nonce, eventId, sessionId, refused, session } of world.asks) {
    const found = inputs.get(nonce) ?? []
    const times = deliveries.get(nonce) ?? 0
    // Of a session that was erased nothing tells whether its turn went on.
    if (!session?.doomed && times > 1 + (again.get(nonce) ?? 0))
      world.problem(`prompt ${nonce} was delivered ${times} times`)
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
export function verifyDisk(world: World): void {
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
  verifyLedger(world, db)
  db.close()
  if (readdirSync(join(data, 'agents')).length > 0) world.problem('pid files are left')
  const alive = process.platform === 'linux' ? agentProcesses(world.mark, Infinity) : []
  if (alive.length > 0) world.problem(`agents outlived the drain: ${alive.join('; ')}`)
}
