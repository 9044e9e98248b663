import Fastify from 'fastify'
import { newId } from '@troupe/protocol/ids'
import { join } from 'node:path'
import { RateLimits } from '../../packages/server/src/access/rate-limit.ts'
import { resolveAgent } from '../../packages/server/src/agents/resolve-agent.ts'
import { buildServer } from '../../packages/server/src/http/server.ts'
import { systemClock } from '../../packages/server/src/lib/clock.ts'
import { silentLogger } from '../../packages/server/src/lib/logger.ts'
import { EventLog } from '../../packages/server/src/log/event-log.ts'
import { Previews } from '../../packages/server/src/log/previews.ts'
import { Wakeups } from '../../packages/server/src/log/wakeups.ts'
import { LOCAL_CALLER } from '../../packages/server/src/sessions/caller.ts'
import { Metrics } from '../../packages/server/src/metrics/metrics.ts'
import { ClientToolTokens } from '../../packages/server/src/sessions/client-tools.ts'
import { approvalSettings, createSession, newInput } from '../../packages/server/src/sessions/create-session.ts'
import type { SessionContext } from '../../packages/server/src/sessions/context.ts'
import { newEvent } from '../../packages/server/src/sessions/new-event.ts'
import { Git } from '../../packages/server/src/snapshots/git.ts'
import { Snapshots } from '../../packages/server/src/snapshots/snapshots.ts'
import { fillSessions } from './fill.ts'
import { openDelayedStore, type FlushDelay } from './flush-delay.ts'
import { messageOf, resultOf } from './messages.ts'

/**
 * The server without its runner, in a process of its own: the whole HTTP stack, log and store, and no agents that would
 * take the processor. Commands come by IPC, so that events can be appended where a runner would append them.
 */
const [folder, delayText] = process.argv.slice(2) as [string, string | undefined]
const delay = delayText ? (JSON.parse(delayText) as FlushDelay) : null
const file = join(folder, 'troupe.db')
const store = openDelayedStore(file, delay)
const wakeups = new Wakeups()
const log = new EventLog(store, wakeups)
const previews = new Previews(wakeups)
const files = { store: store.files, folder: join(folder, 'files'), clock: systemClock, maxBytes: 2 ** 20 }
const sessions: SessionContext = {
  spares: { take: () => null },
  files,
  repositories: { git: { path: process.env.PATH, env: {} }, sources: [] },
  snapshots: new Snapshots({
    store,
    clock: systemClock,
    logger: silentLogger,
    git: new Git(process.env.PATH),
    searchPath: process.env.PATH,
    sessionsDir: join(folder, 'sessions'),
    mode: 'off',
  }),
  store,
  log,
  clock: systemClock,
  settings: {
    modelSource: 'configured',
    defaultModel: null,
    allowStdioMcp: false,
    defaultCwd: null,
    sessionsDir: join(folder, 'sessions'),
    agentUser: null,
    agentProblem: null,
    bypassProblem: null,
    sandboxProblem: async () => null,
    containerProblem: async () => null,
    maxQueuedTurns: 1000,
    originApprovalSeconds: 0,
    maxQueuedSessions: 1_000_000,
    maxRunningPerKey: 1,
  },
}
const server = await buildServer({
  sessions,
  previews,
  webhooks: { store: store.webhooks, wakeups, clock: systemClock, allowPrivate: false },
  files,
  logger: silentLogger,
  clock: systemClock,
  clientTools: new ClientToolTokens(),
  metrics: new Metrics(),
  cursorKey: Buffer.alloc(32),
  config: { host: '127.0.0.1', port: 0, corsOrigins: [], allowedHosts: [] },
  access: { keys: store.keys, clock: systemClock, required: false },
  rates: new RateLimits(systemClock),
  noteUse: () => undefined,
  deploymentsChanged: () => undefined,
  about: {
    version: '0',
    agentSdkVersion: '0',
    model: { source: 'configured', note: '', storedLogin: null },
    containment: '',
    admission: () => ({
      slots: { max: 0, used: 0 },
      maxRunningPerKey: 1,
      memory: { budget: 0, used: 0 },
      hold: 'waiting_for_slot',
      backoffUntil: null,
    }),
    startedAt: Date.now(),
  },
})
await server.start()

const create = (prompt: string) =>
  createSession(
    sessions,
    LOCAL_CALLER,
    {
      agent: resolveAgent(undefined, null),
      cwd: null,
      env: {},
      maxTurns: null,
      inputs: [newInput([{ type: 'text', text: prompt }], null)],
      title: null,
      metadata: {},
      externalId: null,
      source: 'native',
      approvals: approvalSettings({}),
      recovery: 'auto',
      rules: [],
    },
    null,
  )

const COMMANDS = {
  url: async () => server.url,
  /** Sessions of one message each, without work. */
  sessions: async ({ count }: { count: number }) => {
    const made = await Promise.all(Array.from({ length: count }, () => create('hello')))
    return made.map(({ id }) => id)
  },
  /** A session that has run: `count` messages of the agent, the last one a result. */
  messages: async ({ count }: { count: number }) => {
    const { id } = await create('hello')
    const messages = Array.from({ length: count }, (_, n) => (n === count - 1 ? resultOf(id) : messageOf(id, n)))
    await log.commit({
      sessionId: id,
      at: Date.now(),
      messages: messages.map((message) => ({ turnId: null, body: JSON.stringify(message) })),
      session: {
        originResult: { duration_ms: 1234, total_cost_usd: 0.01 },
        lastTurnStatus: 'completed',
        status: 'idle',
      },
    })
    return id
  },
  fill: async ({ count }: { count: number }) => fillSessions(file, count),
  /** Appends events of about 400 bytes at a steady rate, each in a commit of its own, told with the time it was made. */
  emit: async ({ ids, rate, seconds }: { ids: string[]; rate: number; seconds: number }) => {
    const started = performance.now()
    const total = Math.round(rate * seconds)
    const pending: Promise<unknown>[] = []
    for (let sent = 0; sent < total;) {
      const due = Math.min(total, Math.floor(((performance.now() - started) / 1000) * rate) + 1)
      for (; sent < due; sent++) {
        const at = Date.now()
        const event = newEvent('agent.message', null, at, {
          t: String(process.hrtime.bigint()),
          content: [{ type: 'text', text: 'x'.repeat(200) }],
        })
        pending.push(log.commit({ sessionId: ids[sent % ids.length]!, at, events: [event] }))
      }
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await Promise.all(pending)
    return total / ((performance.now() - started) / 1000)
  },
  /** Creates by the use case itself, without HTTP. */
  creates: async ({ count, concurrency }: { count: number; concurrency: number }) => {
    let next = 0
    const started = performance.now()
    const worker = async () => {
      while (next++ < count) await create('hello')
    }
    await Promise.all(Array.from({ length: concurrency }, worker))
    return count / ((performance.now() - started) / 1000)
  },
  /** Raw Fastify that sends these bytes, in this process too. */
  raw: async ({ body }: { body: string }) => {
    const raw = Fastify()
    raw.get('/status/:session_id', (_request, reply) => reply.type('application/json; charset=utf-8').send(body))
    return raw.listen({ host: '127.0.0.1', port: 0 })
  },
}

export type Commands = typeof COMMANDS

process.on('message', ({ n, command, args }: { n: number; command: keyof Commands; args: never }) => {
  COMMANDS[command](args).then(
    (result) => process.send!({ n, result }),
    (error: unknown) => process.send!({ n, error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send!({ n: 0, result: newId('node') })
