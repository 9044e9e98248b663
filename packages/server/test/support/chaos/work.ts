import { setTimeout as delay } from 'node:timers/promises'
import { randomUUID } from 'node:crypto'
import type { Random } from './random.ts'
import { type KnownSession, type Ask, World, attempt, insist } from './world.ts'
import { MAX_OPEN } from './limits.ts'

export const text = (words: string) => ({ type: 'user.message', content: [{ type: 'text', text: words }] })

/** The number stands behind a point in every prompt, so that even a count carries it. */
export function promptFor(chance: Random, { nonce }: Ask): string {
  const part = chance.int(1, 100)
  if (part <= 10) return `flood ${chance.int(1, 40)}.${nonce}`
  if (part <= 18) return `hold .${nonce}`
  if (part <= 22) return `crash .${nonce}`
  if (part <= 25) return `stubborn .${nonce}`
  if (part <= 28) return `orphan .${nonce}`
  return `say x.${nonce}`
}

export async function work(world: World, chance: Random, signal: AbortSignal): Promise<void> {
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

export const RUNNING = '/v1/sessions?limit=1000&statuses[]=running&statuses[]=rescheduling'

/** Creates a session by either API, with the natural key, the header or both. */
export async function create(world: World, chance: Random): Promise<void> {
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

export async function send(world: World, chance: Random, session: KnownSession): Promise<void> {
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

export async function resume(world: World, chance: Random, session: KnownSession): Promise<void> {
  const ask = world.ask(session)
  const body = { prompt: promptFor(chance, ask), resume_session_id: session.id }
  const answer = await insist(world, chance, 'POST', '/execute/', body, { 'idempotency-key': `key-${ask.nonce}` })
  if (answer?.status === 200) ask.sessionId = session.id
  else if (answer) ask.refused = true
  if (answer) world.count(answer.status === 200 ? 'resumes acknowledged' : 'resumes refused')
}

export async function interrupt(world: World, chance: Random, session: KnownSession): Promise<void> {
  const mode = chance.chance(0.3) ? { mode: 'now' } : { grace_ms: chance.int(0, 300) }
  await insist(world, chance, 'POST', `/v1/sessions/${session.id}/events`, {
    events: [{ type: 'user.interrupt', ...mode }],
  })
  world.count('interrupts')
}

export async function cancel(world: World, chance: Random, session: KnownSession): Promise<void> {
  world.count('cancels')
  if (chance.chance(0.5)) return void (await insist(world, chance, 'POST', `/cancel/${session.id}`, undefined))
  const turns = await attempt(world, 'GET', `/v1/sessions/${session.id}/turns?order=desc`, undefined, {}, 5_000)
  const turn = turns?.status === 200 ? turns.body.data![0] : undefined
  if (turn) await insist(world, chance, 'POST', `/v1/sessions/${session.id}/turns/${turn.id}/cancel`, { mode: 'now' })
}

export async function erase(world: World, chance: Random, session: KnownSession): Promise<void> {
  session.doomed = true
  const path = chance.chance(0.5) ? `/v1/sessions/${session.id}` : `/sessions/${session.id}`
  const headers: Record<string, string> = chance.chance(0.3) ? { 'idempotency-key': `key-${randomUUID()}` } : {}
  const answer = await insist(world, chance, 'DELETE', path, undefined, headers)
  if (answer?.status === 200) {
    session.erased = true
    world.count('deletes acknowledged')
  }
}
