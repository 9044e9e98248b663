import type { Approval } from '@troupe/protocol/approval'
import type { PendingInput } from '@troupe/protocol/input'
import type { Random } from '../chaos/random.ts'
import { type Answer, attempt } from '../chaos/world.ts'
import { promptFor } from './prompts.ts'
import { type Known, MAX_SESSIONS, type RoundsWorld, type Sent } from './world.ts'

/** Long enough for a busy machine; nothing waits for it but a server that was killed under the request. */
const PATIENCE_MS = 20_000

export const ask = (world: RoundsWorld, method: string, path: string, body?: unknown): Promise<Answer | null> =>
  attempt(world, method, path, body, {}, PATIENCE_MS)

/** One thing that somebody does to a session. It is asked once: a server may die under it, and then nobody knows. */
export async function act(world: RoundsWorld, chance: Random): Promise<void> {
  const dice = chance.int(1, 100)
  const session = world.sessions.length > 0 ? chance.pick(world.sessions) : null
  if (!session || (dice <= 15 && world.sessions.length < MAX_SESSIONS)) return create(world, chance)
  if (dice <= 30) return send(world, chance, session, 'queue')
  if (dice <= 42) return send(world, chance, session, 'steer')
  if (dice <= 49) return send(world, chance, session, 'interrupt')
  if (dice <= 53) return send(world, chance, session, 'reject')
  if (dice <= 64) return interrupt(world, chance, session)
  if (dice <= 72) return change(world, chance, session)
  return decide(world, chance)
}

async function create(world: RoundsWorld, chance: Random): Promise<void> {
  const nonce = world.nonce()
  const bypasses = chance.chance(0.4)
  const recovery = chance.pick(['auto', 'auto', 'resume', 'fail'])
  const approvals = chance.pick([
    {},
    {},
    { hold_seconds: 3 },
    { timeout_seconds: 2, on_timeout: 'deny' },
    { timeout_seconds: 2, on_timeout: 'interrupt' },
  ])
  const answer = await ask(world, 'POST', '/v1/sessions', {
    agent: { type: 'inline', ...(bypasses && { permission_mode: 'bypassPermissions' }) },
    recovery,
    approvals,
    limits: { turn_timeout_seconds: 15 },
    initial_events: [{ type: 'user.message', content: promptFor(chance, nonce) }],
  })
  if (answer?.status !== 200) {
    if (answer && answer.body.code !== 'draining') world.problem(`a create was refused: ${JSON.stringify(answer)}`)
    return
  }
  const { id, uuid, cwd } = answer.body as { id: string; uuid: string; cwd: string }
  world.sessions.push({ id, uuid, cwd, bypasses, recovery })
  world.sent.push({ nonce, sessionId: id, eventId: null, refused: false, cancelled: false })
  world.count('sessions')
}

async function send(world: RoundsWorld, chance: Random, session: Known, delivery: string): Promise<void> {
  const nonce = world.nonce()
  const content = delivery === 'steer' ? `By the way .${nonce}` : promptFor(chance, nonce)
  const sent: Sent = { nonce, sessionId: session.id, eventId: null, refused: false, cancelled: false }
  world.sent.push(sent)
  const events = [{ type: 'user.message', delivery, content }]
  const answer = await ask(world, 'POST', `/v1/sessions/${session.id}/events`, { events })
  if (!answer) return world.count('sends without an answer')
  world.count(answer.status === 200 ? `acknowledged: ${delivery}` : `refused: ${delivery} ${answer.body.code}`)
  if (answer.status === 200) sent.eventId = answer.body.data![0]!.id
  else sent.refused = true
}

async function interrupt(world: RoundsWorld, chance: Random, { id }: Known): Promise<void> {
  const mode = chance.chance(0.4) ? { mode: 'now' } : { grace_ms: chance.int(0, 800) }
  const events = [{ type: 'user.interrupt', ...mode }]
  const answer = await ask(world, 'POST', `/v1/sessions/${id}/events`, { events })
  world.count(`interrupts ${answer?.status ?? 'without an answer'}`)
}

/** Edits, moves or takes back an input that waits. */
async function change(world: RoundsWorld, chance: Random, session: Known): Promise<void> {
  const inputs = await ask(world, 'GET', `/v1/sessions/${session.id}/inputs`)
  const waiting = (inputs?.body.data ?? []) as unknown as PendingInput[]
  if (waiting.length === 0) return
  const { event_id } = chance.pick(waiting)
  const path = `/v1/sessions/${session.id}/inputs/${event_id}`
  if (chance.chance(0.5)) {
    const answer = await ask(world, 'DELETE', path)
    const sent = world.sent.find(({ eventId }) => eventId === event_id)
    if (answer?.status === 200 && sent) sent.cancelled = true
    world.count(`inputs taken back ${answer?.status ?? 'without an answer'}`)
  } else {
    const answer = await ask(world, 'POST', path, { position: chance.int(1, 3) })
    world.count(`inputs moved ${answer?.status ?? 'without an answer'}`)
  }
}

/** Two people answer what waits at the same time: one of them may. */
export async function decide(world: RoundsWorld, chance: Random): Promise<void> {
  const list = await ask(world, 'GET', '/v1/approvals?limit=100')
  const pending = (list?.body.data ?? []) as unknown as Approval[]
  if (pending.length === 0) return
  const { id, kind, input } = chance.pick(pending)
  const [question] = (input as { questions?: { question: string }[] }).questions ?? []
  const verdicts = (['first', 'second'] as const).map((actor) => {
    const result = chance.chance(0.8) ? ('allow' as const) : ('deny' as const)
    const answers = kind === 'question' && question ? { answers: { [question.question]: 'Comedy' } } : {}
    return { actor, result, ...(result === 'allow' && answers) }
  })
  const replies = await Promise.all(verdicts.map((verdict) => ask(world, 'POST', `/v1/approvals/${id}`, verdict)))
  for (const [index, reply] of replies.entries()) {
    if (reply?.status === 200) world.given.push({ approvalId: id, result: verdicts[index]!.result })
    else if (reply && reply.body.code !== 'approval_not_pending')
      world.problem(`an answer to ${id} was refused: ${JSON.stringify(reply)}`)
  }
  world.count('approvals answered', replies.filter((reply) => reply?.status === 200).length)
}
