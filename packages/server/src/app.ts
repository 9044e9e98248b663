import type { DemoModel } from '@troupe/demo-model/demo-model'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import manifest from '../package.json' with { type: 'json' }
import { callerOf } from './access/authenticate.ts'
import { NotedUse } from './access/noted-use.ts'
import { RateLimits } from './access/rate-limit.ts'
import { needsKeys } from './access/requirement.ts'
import { agentSdkVersion } from './agents/agent-binary.ts'
import type { ModelSource } from './agents/model-source.ts'
import type { Config } from './config.ts'
import { Scheduler } from './deployments/scheduler.ts'
import { buildServer, type HttpServer } from './http/server.ts'
import { type Clock, systemClock } from './lib/clock.ts'
import { type Logger, silentLogger } from './lib/logger.ts'
import { EventLog, observers } from './log/event-log.ts'
import { Previews } from './log/previews.ts'
import { Wakeups } from './log/wakeups.ts'
import { Metrics } from './metrics/metrics.ts'
import { CredentialProxy } from './proxy/credential-proxy.ts'
import type { Containment } from './runner/containment.ts'
import { PidFiles } from './runner/pid-files.ts'
import type { Runner } from './runner/runner.ts'
import { ClientToolTokens } from './sessions/client-tools.ts'
import type { SpareDesk } from './sessions/context.ts'
import { Retention } from './sessions/expire-sessions.ts'
import { finishRestores } from './sessions/rewind-session.ts'
import { sweepFolders } from './sessions/sweep-folders.ts'
import { boundAgents } from './start/agent-bounds.ts'
import { buildDeliverer } from './start/build-deliverer.ts'
import { buildRunner } from './start/build-runner.ts'
import { buildSessions } from './start/build-sessions.ts'
import { chooseModel } from './start/choose-model.ts'
import { keyOf } from './start/cursor-key.ts'
import { openStore, sweepHourly } from './start/open-store.ts'
import { envMaker } from './start/env-maker.ts'
import { stopAll, type Undo } from './start/undo.ts'
import { watchAgentFiles } from './start/watch-agent-files.ts'
import { watchAgents } from './start/watch-agents.ts'
import type { Store } from './store/store.ts'
import { makeTracer } from './tracing/make-tracer.ts'

export interface AppOptions {
  /** Gets the secret of the first key, before anything of it is stored. */
  onFirstKey?: (secret: string) => void
  logger?: Logger
  clock?: Clock
  /** A demo model that somebody else started and will close. */
  demoModel?: DemoModel
  /** Wraps the store; for tests that make it fail. */
  wrapStore?: (store: Store) => Store
  containment?: Containment['name']
  /** How often it is looked for sessions whose time is over, in ms; for tests. */
  retentionEveryMs?: number
  /** How often it is looked what agents take, in ms; for tests. */
  limitsEveryMs?: number
  /** Gives 0 ≤ n < 1; for tests that must repeat. */
  random?: () => number
}

export interface App {
  /** Whether callers need a key. */
  readonly keysNeeded: boolean
  /** What each route needs. */
  readonly needs: HttpServer['needs']
  readonly url: string
  readonly config: Config
  readonly model: ModelSource
  readonly containment: Containment
  /** The embedded demo model, when it answers. */
  readonly demoModel: DemoModel | null
  readonly store: Store
  /** Drains and stops everything. Safe to call more than once. */
  stop(): Promise<void>
}

export const { version } = manifest

/** Time that a server which stops gives to the traces that are still to be sent, in ms. */
const TRACES_MS = 2_000

/**
 * Builds every part once, starts them in order, and answers when requests are served. Throws `DataFolderInUse` and
 * whatever keeps a part from starting; what was started until then is stopped.
 */
export async function startApp(config: Config, options: AppOptions = {}): Promise<App> {
  const logger = options.logger ?? silentLogger
  const clock = options.clock ?? systemClock
  const undo: Undo = []
  try {
    const store = await openStore(config, clock, options.wrapStore, undo)
    const keys = store.keys
    const required = await needsKeys({ keys, clock }, config, options.onFirstKey ?? (() => undefined))
    const access = { keys, clock, required }
    const use = new NotedUse(keys, () => clock.now(), logger)
    undo.push(() => use.stop())
    const sessionsDir = join(config.data_dir, 'sessions')
    const { model, demoModel, credential } = await chooseModel(config, options.demoModel, undo)
    const metrics = new Metrics()
    const tracer = config.otlp && makeTracer(config.otlp, { store, metrics, logger, version })
    if (tracer) undo.push(() => tracer.stop(TRACES_MS))
    const proxy =
      credential && new CredentialProxy(credential, config.env, logger, (session) => tracer?.current(session) ?? null)
    if (proxy) {
      await proxy.start()
      undo.push(() => proxy.stop())
    }
    const login = proxy ? null : model.storedLogin
    const bounds = await boundAgents(config, { login, sessionsDir, containment: options.containment, logger }, undo)
    const wakeups = new Wakeups()
    const log = new EventLog(store, wakeups, tracer ? observers(metrics, tracer) : metrics)
    const previews = new Previews(wakeups)
    const spares: SpareDesk = { take: (like) => runner.spares.take(like) }
    const sessions = await buildSessions(config, { store, log, clock, logger, model, sessionsDir, bounds, spares })
    const clientTools = new ClientToolTokens()
    const pidFiles = new PidFiles(join(config.data_dir, 'agents'))
    const listening = Promise.withResolvers<void>()
    let ownUrl: string | null = null
    const runner: Runner = buildRunner(config, {
      sessions,
      previews,
      wakeups,
      logger,
      bounds,
      pidFiles,
      proxy,
      storedLogin: model.storedLogin,
      prepareEnv: envMaker(config, { user: bounds.user, sessionsDir, proxy, login, demoModel, version }),
      clientTools,
      listening: listening.promise,
      ownUrl: () => ownUrl,
      counted: (how) => metrics.agentCame(how),
      random: options.random ?? Math.random,
    })
    await watchAgentFiles(config, { store, clock, logger }, undo)
    await finishRestores(sessions, (session, err) => logger.warn({ session, err }, 'a rewind could not be finished'))
    await runner.start()
    undo.push(() => runner.stop())
    const { limits } = bounds
    watchAgents(config, sessionsDir, { limits, pidFiles, logger, everyMs: options.limitsEveryMs }, undo)
    const admission = () => runner.admission
    const webhooks = { store: store.webhooks, wakeups, clock, allowPrivate: config.webhook_allow_private }
    const deliverer = buildDeliverer(webhooks, { store, logger, version, traced: tracer !== null, admission })
    undo.push(() => deliverer.stop())
    const scheduler = new Scheduler({
      sessions,
      logger,
      callerOf: (principal, workspaceId) => callerOf(access, principal, workspaceId),
    })
    const retention = new Retention(sessions, logger, options.retentionEveryMs)
    undo.push(sweepHourly(store, config, clock, logger))
    metrics.watch({
      store,
      version,
      now: () => clock.now(),
      admission,
      resting: () => runner.resting,
      spares: () => runner.spares.size,
    })
    const server: HttpServer = await buildServer({
      sessions,
      previews,
      webhooks,
      files: sessions.files,
      logger,
      clock,
      clientTools,
      metrics,
      access,
      rates: new RateLimits(clock),
      noteUse: (key) => use.note(key),
      deploymentsChanged: () => scheduler.poke(),
      cursorKey: keyOf(join(config.data_dir, 'cursor.key')),
      config: {
        host: config.host,
        port: config.port,
        corsOrigins: config.cors_origins,
        allowedHosts: config.allowed_hosts,
      },
      about: {
        version,
        agentSdkVersion: agentSdkVersion(),
        model,
        containment: bounds.words,
        admission,
        startedAt: clock.now(),
      },
    })
    // What lies there before anything is served belongs to a session, or to none.
    const folders = await readdir(sessionsDir).catch(() => [])
    await server.start()
    ownUrl = server.url
    listening.resolve()
    // Not before: who is told something may ask at once.
    await deliverer.start()
    await scheduler.start()
    await retention.start()
    const sweeping = new AbortController()
    const swept = sweepFolders(store, sessionsDir, folders, sweeping.signal).catch((err: unknown) =>
      logger.warn({ err }, 'folders without a session could not be removed'),
    )
    undo.push(async () => {
      sweeping.abort()
      await swept
    })
    // First nothing new is taken, then the runs end, and only then those who watch them are let go.
    undo.push(() => server.stop())
    undo.push(() => runner.stop())
    undo.push(() => scheduler.stop())
    undo.push(() => retention.stop())
    undo.push(() => server.drain())
    let stopping: Promise<void> | null = null
    return {
      url: server.url,
      keysNeeded: required,
      needs: server.needs,
      config,
      model,
      containment: bounds.containment,
      demoModel,
      store,
      stop: () => (stopping ??= stopAll(undo)),
    }
  } catch (error) {
    await stopAll(undo)
    throw error
  }
}
