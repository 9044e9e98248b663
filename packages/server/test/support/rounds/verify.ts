import type { Approval } from '@troupe/protocol/approval'
import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import type { Turn } from '@troupe/protocol/turn'
import Sqlite from 'better-sqlite3'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Log, NONCE, nonces, tally, verifyTurns } from '../chaos/verify.ts'
import { frames } from '../server.ts'
import { verifyBills } from './bill.ts'
import { EFFECTS } from './prompts.ts'
import type { Known, RoundsWorld } from './world.ts'

/** What a turn may end with as failed. */
const FAILURES = new Set(['server_restarted', 'process_crashed', 'turn_timeout'])

/** Looks at everything that must hold of a calm server. */
export async function verify(world: RoundsWorld): Promise<void> {
  const logs: Log[] = []
  for (const { id } of world.sessions) logs.push(await readLog(world, id))
  const deliveries = readDeliveries(world)
  for (const [index, log] of logs.entries()) {
    verifyTurns(world, log, deliveries)
    for (const turn of log.turns) {
      const code = (turn.error as { code?: string } | null)?.code ?? ''
      if (turn.status === 'failed' && !FAILURES.has(code))
        world.problem(`${log.session.id}: ${turn.id} failed with ${JSON.stringify(turn.error)}`)
      world.count(`stop reasons: ${(turn.stop_reason as { type: string } | null)?.type}`)
    }
    verifyInputs(world, log)
    await verifyApprovals(world, world.sessions[index]!, log)
  }
  await verifyBills(world)
}

async function readLog(world: RoundsWorld, id: string): Promise<Log> {
  const url = await world.server.url
  const session = (await (await fetch(`${url}/v1/sessions/${id}`)).json()) as Session
  const events: SessionEvent[] = []
  for await (const event of frames(await fetch(`${url}/v1/sessions/${id}/events/stream?from=start`))) {
    events.push(event)
    if (event.seq >= session.last_seq) break
  }
  const turns = (await (await fetch(`${url}/v1/sessions/${id}/turns?limit=1000`)).json()) as { data: Turn[] }
  return { session, events, turns: turns.data }
}

/** How often each prompt stands in a transcript as something that a person said. */
function readDeliveries(world: RoundsWorld): Map<string, number> {
  const db = new Sqlite(join(world.folder, 'data', 'troupe.db'), { readonly: true })
  const bodies = db.prepare(`select body from transcript where subpath = ''`).all() as { body: string }[]
  db.close()
  const said = bodies.flatMap(({ body }) => {
    const entry = JSON.parse(body) as {
      type?: string
      message?: { content?: unknown }
      attachment?: { type?: string; prompt?: unknown }
    }
    const words =
      entry.type === 'user'
        ? textOf(entry.message?.content)
        : entry.attachment?.type === 'queued_command'
          ? textOf(entry.attachment.prompt)
          : ''
    return [...words.matchAll(NONCE)].map((match) => match[1]!)
  })
  return tally(said)
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((block: { type?: string; text?: string }) => (block.type === 'text' ? block.text : '')).join('\n')
}

/** Each acknowledged input is in one turn, or it is said that it was taken back; what was refused is nowhere. */
function verifyInputs(world: RoundsWorld, { session, events, turns }: Log): void {
  const messages = events.filter(({ type }) => type === 'user.message')
  const changes = events.filter(({ type }) => type === 'session.input_changed')
  for (const sent of world.sent.filter(({ sessionId }) => sessionId === session.id)) {
    const ids = [...new Set(messages.filter((event) => nonces(event).includes(sent.nonce)).map(({ id }) => id))]
    const wrong = (what: string) => world.problem(`${session.id}: prompt ${sent.nonce} ${what}`)
    if (sent.refused ? ids.length > 0 : ids.length > 1) wrong(`is there as ${ids.join()}`)
    if (sent.eventId !== null && ids[0] !== sent.eventId) wrong(`was acknowledged and is not there`)
    const [id] = ids
    if (id === undefined) continue
    const taken = messages.filter((event) => event.id === id && event.processed_at !== null).length
    const within = turns.filter(({ input_event_ids }) => input_event_ids.includes(id))
    const takenBack = changes.some(({ event_id, change }) => event_id === id && change === 'cancelled')
    if (taken > 1) wrong(`was taken ${taken} times`)
    if (sent.cancelled && (!takenBack || taken > 0)) wrong('was taken back, and the log does not say so')
    if (within.length > 1 || (within.length === 0 && !takenBack)) wrong(`is in ${within.length} turns`)
    world.count(taken > 0 ? 'inputs consumed' : takenBack ? 'inputs taken back' : 'inputs never started')
  }
}

/** Each approval is decided, once; and each effect was had as often as somebody allowed it. */
async function verifyApprovals(world: RoundsWorld, known: Known, log: Log): Promise<void> {
  const url = await world.server.url
  const list = await fetch(`${url}/v1/approvals?status=all&limit=1000&session_id=${known.id}`)
  const { data } = (await list.json()) as { data: Approval[] }
  const wrong = (what: string) => world.problem(`${known.id}: ${what}`)
  for (const { id, status, turn_id } of data) {
    world.count(`approvals ${status}`)
    const given = world.given.filter(({ approvalId }) => approvalId === id)
    if (status === 'pending') wrong(`${id} still waits`)
    if (given.length > 1) wrong(`${id} was answered ${given.length} times`)
    // An answer that its turn did not live to use is cancelled with it.
    const ended =
      status === 'cancelled' && log.turns.some(({ id: turn, status: end }) => turn === turn_id && end !== 'completed')
    if (given.length === 1 && !ended && status !== (given[0]!.result === 'allow' ? 'allowed' : 'denied'))
      wrong(`${id} was answered ${given[0]!.result} and is ${status}`)
    const answers = log.events.filter(
      (event) =>
        event.processed_at !== null &&
        (event.type === 'user.tool_confirmation' || event.type === 'user.custom_tool_result') &&
        (event.tool_use_id ?? event.custom_tool_use_id) === id,
    )
    if (answers.length > 1) wrong(`${id} has ${answers.length} answers in the log`)
  }
  const file = join(known.cwd, EFFECTS)
  const had = tally(existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [])
  for (const [nonce, times] of had) {
    world.count('effects', times)
    const allowed = data.filter(
      ({ status, input }) => status === 'allowed' && JSON.stringify(input).includes(`echo ${nonce} `),
    ).length
    const turn = log.turns.find(({ input_event_ids }) =>
      log.events.some((event) => input_event_ids.includes(event.id) && nonces(event).includes(nonce)),
    )
    const resumed = log.events.filter(({ type, turn_id }) => type === 'turn.resumed' && turn_id === turn?.id).length
    // Who asked to be resumed in any case is told that what was in flight may be made again.
    const most = !known.bypasses ? allowed : known.recovery === 'resume' ? 1 + resumed : 1
    if (times > most) wrong(`the effect of ${nonce} was had ${times} times, allowed ${allowed} times`)
  }
  for (const turn of log.turns) verifyEnd(world, log, turn, had)
}

/** A turn that came to its own end and whose call was not refused has had its effect. */
function verifyEnd(world: RoundsWorld, { session, events }: Log, turn: Turn, had: Map<string, number>): void {
  if ((turn.stop_reason as { type: string } | null)?.type !== 'end_turn' || turn.status !== 'completed') return
  const uses = events.filter(({ type, turn_id }) => type === 'agent.tool_use' && turn_id === turn.id)
  for (const use of uses) {
    const nonce = /echo (\d{8}) /.exec(JSON.stringify(use.input))?.[1]
    const result = events.find(({ type, tool_use_id }) => type === 'agent.tool_result' && tool_use_id === use.id)
    if (nonce !== undefined && result?.is_error === false && !had.has(nonce))
      world.problem(`${session.id}: ${use.id} is said to have run, and had no effect`)
  }
}
