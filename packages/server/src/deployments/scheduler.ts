import type { Logger } from '../lib/logger.ts'
import type { Service } from '../lib/service.ts'
import type { Caller } from '../sessions/caller.ts'
import type { SessionContext } from '../sessions/context.ts'
import { DeploymentChanged, type DeploymentRow, TickTaken } from '../store/deployments.ts'
import { startRun } from './run.ts'
import { dueTick, nextRun } from './schedule.ts'

/** It is looked again after this long at most, in ms: wall clocks are set, and machines sleep. */
const LOOK_MS = 30_000
/** After something failed that will pass. */
const AGAIN_MS = 5_000
const AT_ONCE = 100

interface SchedulerContext {
  sessions: SessionContext
  logger: Logger
  /** Who a key is now. Throws where it is good no more. */
  callerOf(principal: string, workspaceId: string): Promise<Caller>
}

/** Starts what is due. What it knows stands in the store: which tick is next is moved in the transaction that runs it. */
export class Scheduler implements Service {
  readonly #context: SchedulerContext
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> | null = null
  #again = false
  #stopped = false

  constructor(context: SchedulerContext) {
    this.#context = context
  }

  async start(): Promise<void> {
    this.poke()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#looking
  }

  /** Looks now: a deployment was changed. */
  poke(): void {
    if (this.#stopped) return
    this.#again = true
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null
      if (this.#again) this.poke()
    })
  }

  async #look(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#again = false
    const { store, clock } = this.#context.sessions
    let wait = LOOK_MS
    try {
      for (;;) {
        const due = await store.deployments.due(clock.now(), AT_ONCE)
        for (const row of due) {
          if (this.#stopped) return
          await this.#run(row)
        }
        if (due.length < AT_ONCE) break
      }
      const next = await store.deployments.nextFire()
      if (next !== null) wait = Math.min(LOOK_MS, Math.max(1, next - clock.now()))
    } catch (err) {
      this.#context.logger.warn({ err }, 'what is due could not be started; trying again')
      wait = AGAIN_MS
    }
    if (this.#stopped) return
    this.#timer = setTimeout(() => this.poke(), wait)
    this.#timer.unref()
  }

  async #run(row: DeploymentRow): Promise<void> {
    const { sessions, callerOf, logger } = this.#context
    const tick = dueTick(row, sessions.clock.now())
    if (!tick) return
    const { scheduledAt, after } = tick
    try {
      if (scheduledAt === null) return await this.#pass(row, after)
      const starter = () => callerOf(row.principal, row.workspaceId)
      const run = await startRun(sessions, row, starter, { scheduledAt, after }, () => undefined)
      logger.info(
        {
          deployment: row.id,
          run: run.id,
          session: run.sessionId,
          error: run.error,
        },
        'scheduled run',
      )
    } catch (error) {
      // Changed meanwhile: it is looked at again as it is now.
      if (error instanceof DeploymentChanged) this.#again = true
      // The clock was set back: what was run is not run again.
      else if (error instanceof TickTaken && scheduledAt !== null)
        await this.#pass(row, nextRun(row.id, row.schedule, scheduledAt))
      else throw error
    }
  }

  async #pass(row: DeploymentRow, after: Pick<DeploymentRow, 'nextAt' | 'fireAt'>): Promise<void> {
    await this.#context.sessions.store.deployments.replace({ ...row, ...after }, row.version)
  }
}
