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
    let failed = false
    try {
      for (;;) {
        const due = await store.deployments.due(clock.now(), AT_ONCE)
        for (const row of due) {
          if (this.#stopped) return
          if (!(await this.#run(row))) failed = true
        }
        if (failed || due.length < AT_ONCE) break
      }
      const next = await store.deployments.nextFire()
      if (failed) wait = AGAIN_MS
      else if (next !== null) wait = Math.min(LOOK_MS, Math.max(1, next - clock.now()))
    } catch (err) {
      this.#context.logger.warn({ err }, 'what is due could not be read; trying again')
      wait = AGAIN_MS
    }
    if (this.#stopped) return
    this.#timer = setTimeout(() => this.poke(), wait)
    this.#timer.unref()
  }

  /** False: its tick is due as before. One that fails keeps nobody else. */
  async #run(row: DeploymentRow): Promise<boolean> {
    try {
      const tick = dueTick(row, this.#context.sessions.clock.now())
      if (tick) await this.#runTick(row, tick)
      return true
    } catch (err) {
      // Changed meanwhile: it is looked at again as it is now.
      if (err instanceof DeploymentChanged) this.#again = true
      else this.#context.logger.warn({ err, deployment: row.id }, 'what is due could not be started; trying again')
      return false
    }
  }

  async #runTick(row: DeploymentRow, { scheduledAt, after }: NonNullable<ReturnType<typeof dueTick>>): Promise<void> {
    const { sessions, callerOf, logger } = this.#context
    if (scheduledAt === null) return this.#pass(row, after)
    try {
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
      // The clock was set back: what was run is not run again.
      if (!(error instanceof TickTaken)) throw error
      await this.#pass(row, nextRun(row.id, row.schedule, scheduledAt))
    }
  }

  async #pass(row: DeploymentRow, after: Pick<DeploymentRow, 'nextAt' | 'fireAt'>): Promise<void> {
    await this.#context.sessions.store.deployments.replace({ ...row, ...after }, row.version)
  }
}
