import { setTimeout as delay } from 'node:timers/promises'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Random } from './random.ts'
import { Server, AGENT } from './server.ts'

export interface KnownSession {
  id: string
  /** Somebody asked to erase it: from then on it may be gone. */
  doomed: boolean
  erased: boolean
}

export interface Ask {
  nonce: string
  /** Set once a 2xx said so. */
  eventId: string | null
  sessionId: string | null
  refused: boolean
  /** The session was asked to be erased at any time until the answer came. */
  session: KnownSession | null
}

/** Where what does not hold is written down. */
export interface Findings {
  count(what: string, by?: number): void
  problem(text: string): void
}

export class World implements Findings {
  readonly folder = mkdtempSync(join(tmpdir(), 'troupe-chaos-'))
  readonly mark = randomUUID()
  readonly server = new Server(this.folder, this.mark, {
    flags: { agent_executable: join(this.folder, 'agent.mjs') },
    env: {},
  })
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

export interface Answer {
  status: number
  body: Record<string, unknown> & { data?: { id: string }[]; code?: string }
}

/** One try. Null: no answer, so nobody knows whether it was done. */
export async function attempt(
  world: Findings & { readonly server: Server },
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
    if (response.status >= 500 && !text.includes('"code":"draining"'))
      world.problem(`${method} ${path} answered ${response.status}: ${text}`)
    return { status: response.status, body: JSON.parse(text) as Answer['body'] }
  } catch {
    return null
  }
}

/** Asks until there is an answer, the same way each time; or gives up, as callers do. Some leave before the answer. */
export async function insist(
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
