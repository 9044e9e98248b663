import { setTimeout as delay } from 'node:timers/promises'
import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { frames } from '../server.ts'
import type { Random } from './random.ts'
import { World, attempt } from './world.ts'

export interface Seen {
  sessionId: string
  /** In the order they came. */
  events: SessionEvent[]
  gone: boolean
}

/** Reads sessions from their first event over every kill, by Last-Event-ID; in the end to the last event. */
export async function readStreams(world: World, chance: Random): Promise<Seen[]> {
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

export async function readOnce(world: World, seen: Seen, toTheEnd: boolean, patience: number): Promise<void> {
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

export async function finalSession(world: World, seen: Seen): Promise<Session | undefined> {
  const session = await attempt(world, 'GET', `/v1/sessions/${seen.sessionId}`, undefined, {}, 20_000)
  if (session?.status === 200) return session.body as unknown as Session
  seen.gone = true
  return undefined
}
