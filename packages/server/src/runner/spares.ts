import { newId } from '@troupe/protocol/ids'
import { customToolsOf } from '../agents/agent-tools.ts'
import type { SpareDesk } from '../sessions/context.ts'
import { worktreeOf } from '../sessions/worktree.ts'
import { makeWorkdir, removeFolders } from '../sessions/session-folders.ts'
import type { SessionRow } from '../store/session-row.ts'
import { startAgent } from './agent-process.ts'
import type { LiveAgent } from './live-agents.ts'
import { Seat } from './seat.ts'
import type { RunContext } from './run-context.ts'
import { startedAs } from './started-as.ts'

/** Sessions begun within this time say how many spares of their kind are kept, in ms. */
const DEMAND_MS = 60_000
/** One spare for so many sessions begun in that time. */
const SESSIONS_PER_SPARE = 2
/** Kinds that are remembered; the one not asked for longest is forgotten. */
const MAX_KINDS = 20
/** Milliseconds behind the creation of a session in which none is started: two starts at once would slow each other. */
const QUIET_MS = 1_000
/** What stands for the workdir where kinds are compared: each session has one of its own. */
const OWN_WORKDIR = ''

export interface SpareOptions {
  /** Kept at once, at most; 0 keeps none. */
  max: number
  /** Milliseconds that one is kept without being asked for. */
  keepMs: number
  /** Whether nothing waits for a slot, and there is a slot and the memory for one more process. */
  mayStart(): Promise<boolean>
  /** A process for this session is there, without a run, or has gone. */
  onThere(sessionId: string): void
  onGone(sessionId: string): void
}

interface Kind {
  /** The newest session of this kind, by which spares are made. */
  like: SessionRow
  begun: number[]
}

interface Spare {
  sessionId: string
  kind: string
  live: LiveAgent
  timer: NodeJS.Timeout
}

/**
 * Agents started before their session is known: in the very workdir that it will have, under the id that it will get,
 * with the options that it will ask for. A spare is of one kind (`startedAs`: workspace, agent, options), and only a
 * session of this kind gets it; one that does not fit after all is ended, and its session starts as without. Kept are as
 * many as sessions of the kind were lately begun, none where the agent has tools or servers that it would call on at
 * its start, and none while anybody waits. Each costs a process of about 170 MB.
 */
export class Spares implements SpareDesk {
  readonly #context: RunContext
  readonly #options: SpareOptions
  readonly #kinds = new Map<string, Kind>()
  readonly #ready = new Map<string, Spare>()
  readonly #leaving = new Set<Promise<void>>()
  #tending: Promise<void> | null = null
  #stopped = false
  /** Until then whoever begins a session has the machine to itself. */
  #quietUntil = 0

  constructor(context: RunContext, options: SpareOptions) {
    this.#context = context
    this.#options = options
  }

  get size(): number {
    return this.#ready.size
  }

  /** The id of a session that an agent of this kind waits for; it rests until that session begins. Null: there is none. */
  take(like: Pick<SessionRow, 'workspaceId' | 'agent' | 'options'>): string | null {
    const kind = startedAs({ ...like, cwd: OWN_WORKDIR })
    this.#quietUntil = this.#context.sessions.clock.now() + QUIET_MS
    for (const spare of this.#ready.values()) {
      if (spare.kind !== kind) continue
      this.#forget(spare)
      if (this.#context.live.rest(spare.sessionId, spare.live)) return spare.sessionId
      this.#end(spare)
    }
    return null
  }

  /** A session has begun its first turn: others like it may follow. */
  begun(session: SessionRow): void {
    const { agent, options } = session
    if (this.#options.max === 0 || this.#stopped || !options.ownWorkdir) return
    // An agent looks at its workdir when it starts: there is no repository yet.
    if (worktreeOf(options)) return
    if (customToolsOf(agent).length > 0 || agent.mcp_servers.length > 0 || agent.skills.length > 0) return
    const kind = startedAs(session, OWN_WORKDIR)
    const known = this.#kinds.get(kind)?.begun ?? []
    this.#kinds.delete(kind)
    this.#kinds.set(kind, { like: session, begun: [...known, this.#context.sessions.clock.now()].slice(-100) })
    if (this.#kinds.size > MAX_KINDS) this.#kinds.delete(this.#kinds.keys().next().value!)
    this.tend()
  }

  /** Starts what is missing, one after another, while nobody waits. Cheap where nothing is. Never rejects. */
  tend(): void {
    this.#tending ??= this.#tend()
      .catch((err: unknown) => this.#context.logger.warn({ err }, 'a spare agent could not be started'))
      .finally(() => (this.#tending = null))
  }

  /** Ends one for its memory; false when there is none. */
  makeRoom(): boolean {
    const [spare] = this.#ready.values()
    if (spare) this.#drop(spare)
    return spare !== undefined
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const spare of this.#ready.values()) this.#drop(spare)
    await this.#tending
    await Promise.all(this.#leaving)
  }

  async #tend(): Promise<void> {
    for (;;) {
      const kind = this.#missing()
      if (kind === null || this.#stopped || this.#context.sessions.clock.now() < this.#quietUntil) return
      if (!(await this.#options.mayStart())) return
      if (!(await this.#start(kind))) this.#kinds.delete(kind)
    }
  }

  /** The kind asked for most of which there are not enough. */
  #missing(): string | null {
    if (this.#ready.size >= this.#options.max) return null
    const now = this.#context.sessions.clock.now()
    let best: { kind: string; lacks: number } | null = null
    for (const [kind, { begun }] of this.#kinds) {
      if (now - begun.at(-1)! > this.#options.keepMs) continue
      const lately = begun.filter((at) => now - at < DEMAND_MS).length
      const wanted = Math.max(1, Math.ceil(lately / SESSIONS_PER_SPARE))
      const there = [...this.#ready.values()].filter((spare) => spare.kind === kind).length
      if (wanted > there && wanted - there > (best?.lacks ?? 0)) best = { kind, lacks: wanted - there }
    }
    return best?.kind ?? null
  }

  /** Starts one and waits until it is ready; false where it cannot be. */
  async #start(kind: string): Promise<boolean> {
    const { sessions, agent: settings, prepareEnv } = this.#context
    const { like } = this.#kinds.get(kind)!
    const sessionId = newId('sesn')
    const cwd = await makeWorkdir(sessions.settings.sessionsDir, sessionId, like.options, sessions.settings.agentUser)
    const session: SessionRow = { ...like, id: sessionId, cwd }
    const seat = new Seat()
    const agent = startAgent(settings, session, prepareEnv(session), seat.judge, {
      resume: false,
      redrive: null,
      recover: false,
      clientTools: null,
      skills: null,
    })
    const live: LiveAgent = { agent, seat, startedAs: startedAs(session), used: false }
    this.#options.onThere(sessionId)
    const timer = setTimeout(() => this.#drop(spare), this.#options.keepMs)
    timer.unref()
    const spare: Spare = { sessionId, kind, live, timer }
    // Read, or its end would be heard by nobody.
    void agent.peek()
    // It answers once it has read its options and is ready for input.
    const ready = (await agent.usage()) !== null && agent.alive() && !this.#stopped
    if (ready) this.#ready.set(sessionId, spare)
    else this.#end(spare)
    return ready
  }

  #forget(spare: Spare): boolean {
    clearTimeout(spare.timer)
    return this.#ready.delete(spare.sessionId)
  }

  #drop(spare: Spare): void {
    if (this.#forget(spare)) this.#end(spare)
  }

  #end({ sessionId, live: { agent }, timer }: Spare): void {
    clearTimeout(timer)
    const { sessions, logger } = this.#context
    agent.kill()
    const gone = agent.exited
      .then(() => removeFolders(sessions.settings.sessionsDir, sessionId))
      .catch((err: unknown) => logger.warn({ err }, 'the folder of a spare agent could not be removed'))
      .finally(() => {
        this.#leaving.delete(gone)
        this.#options.onGone(sessionId)
      })
    this.#leaving.add(gone)
  }
}
