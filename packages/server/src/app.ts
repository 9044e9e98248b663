import { MAX_FILE_BYTES } from '@troupe/protocol/file'
import { idToUuid } from '@troupe/protocol/ids'
import type { DemoModel } from '@troupe/demo-model/demo-model'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import manifest from '../package.json' with { type: 'json' }
import { AgentFiles } from './agents/agent-files.ts'
import { agentProblem, agentSdkVersion, bypassProblem } from './agents/agent-binary.ts'
import { chooseModelSource, type ModelSource } from './agents/model-source.ts'
import type { Config } from './config.ts'
import { buildServer, type HttpServer } from './http/server.ts'
import { type Clock, systemClock } from './lib/clock.ts'
import { type Logger, silentLogger } from './lib/logger.ts'
import { EventLog, observers } from './log/event-log.ts'
import { Previews } from './log/previews.ts'
import { Wakeups } from './log/wakeups.ts'
import { Metrics } from './metrics/metrics.ts'
import { makeTracer } from './tracing/make-tracer.ts'
import { traceHeaders } from './tracing/trace-headers.ts'
import { callerOf } from './access/authenticate.ts'
import { Scheduler } from './deployments/scheduler.ts'
import { NotedUse } from './access/noted-use.ts'
import { forgetAudit } from './audit/refusals.ts'
import { RateLimits } from './access/rate-limit.ts'
import { needsKeys } from './access/requirement.ts'
import { agentEnv, dropLinks, makeConfigDir } from './runner/agent-env.ts'
import { gitIdentity, makeHome } from './runner/session-home.ts'
import { gitSettings } from './repositories/run-git.ts'
import { ModelBackoff } from './runner/model-backoff.ts'
import { credentialsOf } from './runner/confinement.ts'
import { withPackages } from './environments/packages.ts'
import { sandboxWatch } from './environments/sandbox-problem.ts'
import { agentLimits, limitWords } from './runner/agent-limits.ts'
import { watchLimits } from './runner/watch-limits.ts'
import { agentWords } from './runner/agent-words.ts'
import { LentConfig } from './runner/lent-config.ts'
import { chooseAgentUser, rootProblem } from './runner/choose-agent-user.ts'
import { containersOf } from './runner/containers-of.ts'
import { type Containment, detectContainment } from './runner/containment.ts'
import { chooseProxy } from './proxy/choose-proxy.ts'
import { withoutCredentials } from './proxy/credential.ts'
import { CredentialProxy } from './proxy/credential-proxy.ts'
import { PidFiles } from './runner/pid-files.ts'
import { Runner } from './runner/runner.ts'
import { reachedFrom } from './runner/gateway-for.ts'
import { sessionPaths } from './sessions/admission.ts'
import { DEFAULT_WORKSPACE } from './sessions/caller.ts'
import { ClientToolTokens } from './sessions/client-tools.ts'
import type { SessionContext } from './sessions/context.ts'
import { finishRestores } from './sessions/rewind-session.ts'
import { Retention } from './sessions/expire-sessions.ts'
import { sessionVariables } from './sessions/session-environment.ts'
import { sessionToWire } from './sessions/session-status.ts'
import { makeTemporaryRoot, temporaryRoot } from './sessions/temporary-root.ts'
import { sweepFolders } from './sessions/sweep-folders.ts'
import { Git } from './snapshots/git.ts'
import { Snapshots } from './snapshots/snapshots.ts'
import { lockDataFolder } from './store/data-lock.ts'
import { openSqliteStore } from './store/sqlite.ts'
import type { Store } from './store/store.ts'
import { sweepFiles } from './files/sweep-files.ts'
import { Deliverer } from './webhooks/deliverer.ts'
import { systemResolver } from './lib/system-resolver.ts'
import { sender } from './webhooks/send.ts'

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

/** Keys and outbox rows are kept this long, in ms. */
const IDEMPOTENCY_MS = 24 * 3_600_000
const OUTBOX_MS = 3 * 24 * 3_600_000
const SWEEP_EVERY_MS = 3_600_000
const DAY_MS = 24 * 3_600_000
/** Time that a server which stops gives to the traces that are still to be sent, in ms. */
const TRACES_MS = 2_000
/** Names that containers wait for at once, of all that this machine looks up. */
const GATEWAY_LOOKUPS = 1

/**
 * Builds every part once, starts them in order, and answers when requests are served. Throws `DataFolderInUse` and
 * whatever keeps a part from starting; what was started until then is stopped.
 */
export async function startApp(config: Config, options: AppOptions = {}): Promise<App> {
  const logger = options.logger ?? silentLogger
  const clock = options.clock ?? systemClock
  const undo: (() => Promise<void> | void)[] = []
  const stopAll = async () => {
    for (const step of undo.splice(0).toReversed()) await step()
  }
  try {
    mkdirSync(config.data_dir, { recursive: true, mode: 0o700 })
    const lock = lockDataFolder(config.data_dir)
    undo.push(() => lock.release())
    const sqlite = openSqliteStore(join(config.data_dir, 'troupe.db'), {
      retentionMs: config.retention_days === null ? null : Math.round(config.retention_days * 86_400_000),
      now: () => clock.now(),
    })
    undo.push(() => sqlite.close())
    const store = options.wrapStore?.(sqlite) ?? sqlite
    const sweep = (boot: boolean) =>
      store.sweep(
        {
          idempotency: clock.now() - IDEMPOTENCY_MS,
          outbox: clock.now() - OUTBOX_MS,
          tokens: clock.now() - SWEEP_EVERY_MS,
        },
        boot,
      )
    await sweep(true)
    await forgetAudit(store.audit, clock.now() - config.audit_days * DAY_MS)
    const keys = store.keys
    const required = await needsKeys({ keys, clock }, config, options.onFirstKey ?? (() => undefined))
    const access = { keys, clock, required }
    const use = new NotedUse(keys, () => clock.now(), logger)
    undo.push(() => use.stop())
    const sessionsDir = join(config.data_dir, 'sessions')
    const source = chooseModelSource(config.env, config.demo_model)
    const demoModel = source.source === 'demo' ? (options.demoModel ?? (await startDemo())) : null
    if (demoModel && !options.demoModel) undo.push(() => demoModel.close())
    const kept = chooseProxy(config, source, demoModel?.url ?? null)
    const model = { ...source, note: source.note + kept.note }
    const metrics = new Metrics()
    const tracer = config.otlp && makeTracer(config.otlp, { store, metrics, logger, version })
    if (tracer) undo.push(() => tracer.stop(TRACES_MS))
    const proxy =
      kept.credential &&
      new CredentialProxy(kept.credential, config.env, logger, (session) => tracer?.current(session) ?? null)
    if (proxy) {
      await proxy.start()
      undo.push(() => proxy.stop())
    }
    const ownUser = chooseAgentUser(config, proxy ? null : model.storedLogin, config.env.TMPDIR ?? '/tmp')
    const rootWarning = rootProblem(config.agent_user)
    if (rootWarning !== null) logger.warn({ setting: 'agent_user' }, rootWarning)
    const limits = agentLimits(config)
    const bounds = limitWords(limits, config.max_running + config.spares, ownUser !== null)
    const containment = detectContainment(options.containment, (sessionId) => [
      ...bounds,
      ...agentWords(ownUser, sessionsDir, sessionId),
    ])
    const containers = containersOf(config, containment, join(config.data_dir, 'containers'))
    await containers.sweep()
    undo.push(() => containers.settled())
    const wakeups = new Wakeups()
    const log = new EventLog(store, wakeups, tracer ? observers(metrics, tracer) : metrics)
    const previews = new Previews(wakeups)
    const git = new Git(config.env.PATH)
    const snapshots = new Snapshots({
      store,
      clock,
      logger,
      git,
      searchPath: config.env.PATH,
      sessionsDir,
      mode: config.snapshots,
      user: ownUser,
    })
    const files = {
      store: store.files,
      folder: join(config.data_dir, 'files'),
      clock,
      maxBytes: MAX_FILE_BYTES,
      owner: ownUser,
    }
    await sweepFiles(files)
    const sessions: SessionContext = {
      store,
      files,
      repositories: { git: gitSettings(config.env, ownUser), sources: config.git_sources },
      snapshots,
      spares: { take: (like) => runner.spares.take(like) },
      log,
      clock,
      settings: {
        modelSource: model.source,
        defaultModel: config.default_model,
        allowStdioMcp: config.allow_stdio_mcp,
        defaultCwd: config.default_cwd,
        sessionsDir,
        agentUser: ownUser,
        agentProblem: agentProblem(config.agent_executable),
        bypassProblem: bypassProblem(config.env, config.agent_user),
        sandboxProblem: sandboxWatch(config.env.PATH, ownUser),
        containerProblem: (image, limited) => containers.problem(image, limited),
        maxQueuedTurns: config.max_queued_turns,
        originApprovalSeconds: config.origin_approval_seconds,
        maxQueuedSessions: config.max_queued_sessions,
        maxRunningPerKey: config.max_running_per_key ?? config.max_running,
      },
    }
    const login = model.storedLogin === null ? [] : [model.storedLogin]
    const credentials = [...credentialsOf(config.env.HOME ?? homedir()), ...login]
    const ownHomes = config.session_home === 'auto' ? process.platform === 'linux' : config.session_home === 'on'
    const identity = ownHomes ? gitIdentity(config.env) : ''
    /** A session's own home, and its folder for temporary files. */
    const homeOf = (id: string, home: string, contained: boolean) => {
      const tmp = join(makeTemporaryRoot(config.data_dir, config.env.TMPDIR ?? '/tmp', ownUser !== null), idToUuid(id))
      // No link leads out of a container.
      return makeHome({ home, tmp }, contained ? {} : config.env, identity, ownUser)
    }
    const demoEnv: Record<string, string> = demoModel
      ? { ANTHROPIC_BASE_URL: demoModel.url, ANTHROPIC_API_KEY: 'demo' }
      : {}
    const clientTools = new ClientToolTokens()
    const pidFiles = new PidFiles(join(config.data_dir, 'agents'))
    const listening = Promise.withResolvers<string>()
    let ownUrl: string | null = null
    const toolsUrl = (sessionId: string) => ownUrl && `${ownUrl}/internal/client-tools/${sessionId}`
    const runner = new Runner(
      {
        sessions,
        snapshots,
        previews,
        wakeups,
        logger,
        async clientTools(session) {
          await listening.promise
          return { url: reachedFrom(session, toolsUrl(session.id)!), token: clientTools.token(session.id) }
        },
        stallMs: config.model_stall_seconds * 1000,
        counted: (how) => metrics.agentCame(how),
        backoff: new ModelBackoff(clock, options.random ?? Math.random),
        backgroundMs: config.background_seconds * 1000,
        agent: {
          store,
          containment,
          containers,
          gateways: { resolve: systemResolver(undefined, GATEWAY_LOOKUPS), clientTools: toolsUrl },
          pidFiles,
          executable: config.agent_executable,
          hidden: { dataDir: config.data_dir, credentials, temporary: () => temporaryRoot(config.data_dir) },
          allowStdioMcp: config.allow_stdio_mcp,
          lent: ownUser && new LentConfig(ownUser, sessionsDir, join(config.data_dir, 'no-config')),
          gone: (env) => proxy?.dismiss(env),
        },
        prepareEnv(session) {
          const paths = sessionPaths(sessionsDir, session.id)
          const { configDir } = paths
          const contained = session.options.environment?.config.type === 'container'
          const group = ownUser?.guard(paths.root) ?? 0
          if (contained) dropLinks(configDir)
          makeConfigDir(configDir, proxy ? null : model.storedLogin)
          ownUser?.give(configDir, group)
          const env = agentEnv({
            server: proxy ? withoutCredentials(config.env) : config.env,
            caller: sessionVariables(session.options),
            configDir,
            home: ownHomes ? homeOf(session.id, paths.home, contained) : null,
            version,
            background: config.background_seconds > 0,
            model: proxy?.admit(session.id) ?? demoEnv,
          })
          return withPackages(env, session.options.environment?.config)
        },
      },
      {
        slots: config.max_running,
        spares: config.spares,
        restMs: config.live_seconds * 1000,
        maxResting: config.max_live ?? config.max_running,
        memoryBytes: config.max_memory_mb * 2 ** 20,
        drainMs: config.drain_seconds * 1000,
      },
    )
    if (config.agents_dir !== null) {
      const { allow_stdio_mcp: allowStdioMcp } = config
      const workspaceId = DEFAULT_WORKSPACE
      const files = new AgentFiles(config.agents_dir, {
        agents: store.agents,
        skills: store.skills,
        clock,
        logger,
        workspaceId,
        limits: { allowStdioMcp },
      })
      await files.start()
      undo.push(() => files.stop())
    }
    await finishRestores(sessions, (session, err) => logger.warn({ session, err }, 'a rewind could not be finished'))
    await runner.start()
    undo.push(() => runner.stop())
    const watching = new AbortController()
    const foldersOf = (id: string) => {
      const { workdir, configDir, home } = sessionPaths(sessionsDir, id)
      return [realPath(workdir), configDir, home, join(temporaryRoot(config.data_dir) ?? '/nonexistent', idToUuid(id))]
    }
    const watched = watchLimits(
      { limits, pidFiles, foldersOf, logger, everyMs: options.limitsEveryMs },
      watching.signal,
    )
    undo.push(async () => {
      watching.abort()
      await watched
    })
    const webhooks = { store: store.webhooks, wakeups, clock, allowPrivate: config.webhook_allow_private }
    const deliverer = new Deliverer({
      ...webhooks,
      logger,
      version,
      send: sender({ allowPrivate: config.webhook_allow_private, resolve: systemResolver() }),
      traceHeaders: (event) => traceHeaders(store, event, tracer !== null),
      async renderSession(id) {
        const session = await store.readSession(id)
        return session && sessionToWire(store, session, clock.now(), runner.admission)
      },
    })
    undo.push(() => deliverer.stop())
    const scheduler = new Scheduler({
      sessions,
      logger,
      callerOf: (principal, workspaceId) => callerOf(access, principal, workspaceId),
    })
    const retention = new Retention(sessions, logger, options.retentionEveryMs)
    const sweepAll = async () => {
      await sweep(false)
      await forgetAudit(store.audit, clock.now() - config.audit_days * DAY_MS)
    }
    const sweeper = setInterval(
      () => void sweepAll().catch((err: unknown) => logger.warn({ err }, 'sweep failed')),
      SWEEP_EVERY_MS,
    )
    undo.push(() => clearInterval(sweeper))
    metrics.watch({
      store,
      version,
      now: () => clock.now(),
      admission: () => runner.admission,
      resting: () => runner.resting,
      spares: () => runner.spares.size,
    })
    const server: HttpServer = await buildServer({
      sessions,
      previews,
      webhooks,
      files,
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
        containment: `${containment.name}: ${containment.note}${ownUser ? `; agents run as ${ownUser.name}` : rootWarning === null ? '' : '; agents run as root'}`,
        admission: () => runner.admission,
        startedAt: clock.now(),
      },
    })
    // What lies there before anything is served belongs to a session, or to none.
    const folders = await readdir(sessionsDir).catch(() => [])
    await server.start()
    ownUrl = server.url
    listening.resolve(server.url)
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
      containment,
      demoModel,
      store,
      stop: () => (stopping ??= stopAll()),
    }
  } catch (error) {
    await stopAll()
    throw error
  }
}

/** Where a workdir lies that is noted by a link. */
const realPath = (path: string): string => {
  try {
    return readlinkSync(path)
  } catch {
    return path
  }
}

/** Loaded only where it is played. */
async function startDemo(): Promise<DemoModel> {
  const { startDemoModel } = await import('@troupe/demo-model/demo-model')
  return startDemoModel()
}

/** The key in a file, made at the first start: cursors outlive restarts. A file that is not whole is made anew. */
function keyOf(file: string): Buffer {
  const known = existsSync(file) ? readFileSync(file) : null
  if (known?.length === 32) return known
  const key = randomBytes(32)
  writeFileSync(file, key, { mode: 0o600 })
  return key
}
