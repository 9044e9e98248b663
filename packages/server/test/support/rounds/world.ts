import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server } from '../chaos/server.ts'
import type { Findings } from '../chaos/world.ts'

/** An input that somebody sent. */
export interface Sent {
  nonce: string
  sessionId: string
  /** Set once a 2xx said so. */
  eventId: string | null
  /** Whether a 4xx said that it is not taken. */
  refused: boolean
  /** A 2xx said that it was taken back. */
  cancelled: boolean
}

/** A verdict that somebody gave. */
export interface Given {
  approvalId: string
  result: 'allow' | 'deny'
}

/** A session that the rounds know. */
export interface Known {
  id: string
  uuid: string
  cwd: string
  bypasses: boolean
  recovery: string
}

/** Sessions at work beyond which no new one is made. */
export const MAX_SESSIONS = 10

/** The genuine agent on a server that can be killed, and the endpoint that plays the model and outlives every kill. */
export class RoundsWorld implements Findings {
  readonly folder = mkdtempSync(join(tmpdir(), 'troupe-rounds-'))
  readonly mark = randomUUID()
  readonly model: DemoModel
  readonly server: Server
  readonly sessions: Known[] = []
  readonly sent: Sent[] = []
  readonly given: Given[] = []
  readonly counts: Record<string, number> = {}
  readonly problems: string[] = []
  #nonces: number

  private constructor(seed: number, model: DemoModel) {
    this.#nonces = (seed % 10) * 10_000_000
    this.model = model
    this.server = new Server(this.folder, this.mark, {
      flags: { model_stall_seconds: 60 },
      // A killed shell may leave a lock that the start files of HOME wait for.
      env: { ANTHROPIC_BASE_URL: model.url, HOME: this.folder },
    })
  }

  static async start(seed: number): Promise<RoundsWorld> {
    const world = new RoundsWorld(seed, await startDemoModel())
    await world.server.start()
    return world
  }

  nonce(): string {
    return String(++this.#nonces).padStart(8, '0')
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by
  }

  problem(text: string): void {
    this.problems.push(text)
  }
}
