import Fastify, { type FastifyInstance } from 'fastify'
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { newId } from '@troupe/protocol/ids'
import { ApiError } from '@troupe/protocol/error'
import type { AddressInfo } from 'node:net'
import type { ModelSource } from '../agents/model-source.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Service } from '../lib/service.ts'
import type { Previews } from '../log/previews.ts'
import type { SessionContext } from '../sessions/context.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { AccessContext } from '../access/context.ts'
import type { RateLimits } from '../access/rate-limit.ts'
import type { FileContext } from '../files/context.ts'
import type { WebhookContext } from '../webhooks/endpoints.ts'
import type { Admission } from '../sessions/queue-status.ts'
import { Refusals } from '../audit/refusals.ts'
import { audited } from './audited.ts'
import { callers, routeNeeds } from './caller.ts'
import { loggedUrl } from './credentials.ts'
import type { Need } from './needs.ts'
import { Cursors } from './cursor.ts'
import { closedDoors } from './doors.ts'
import { answerErrors } from './errors.ts'
import { idempotency } from './idempotency.ts'
import { openApi } from './openapi.ts'
import type { ClientToolTokens } from '../sessions/client-tools.ts'
import { agentRoutes } from './routes/agents.ts'
import { exportRoutes } from './routes/exports.ts'
import { branchRoutes } from './routes/branches.ts'
import { contextRoutes } from './routes/context.ts'
import { approvalRoutes } from './routes/approvals.ts'
import { clientToolRoutes } from './routes/client-tools.ts'
import { type Console, consoleRoutes } from './routes/console.ts'
import { deploymentRoutes } from './routes/deployments.ts'
import { docsRoutes } from './routes/docs.ts'
import { eventRoutes } from './routes/events.ts'
import { firehoseRoutes } from './routes/firehose.ts'
import { metaRoutes } from './routes/meta.ts'
import { resourceRoutes } from './routes/resources.ts'
import { queueRoutes } from './routes/queue.ts'
import { ownWorkspaceOnly } from './own-workspace.ts'
import { shallowBodies } from './shallow.ts'
import { strictAnswers } from './strict.ts'
import { withinPolicyOnly } from './within-policy.ts'
import { originRoutes } from './routes/origin.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { skillRoutes } from './routes/skills.ts'
import { threadRoutes } from './routes/threads.ts'
import { turnRoutes } from './routes/turns.ts'
import { environmentRoutes } from './routes/environments.ts'
import { fileRoutes } from './routes/files.ts'
import { webhookRoutes } from './routes/webhooks.ts'
import { auditRoutes } from './routes/audit.ts'
import { apiKeyRoutes } from './routes/api-keys.ts'
import { workspaceRoutes } from './routes/workspaces.ts'
import { sessionTokenRoutes } from './routes/session-tokens.ts'
import { loginRoutes } from './routes/login.ts'
import { usageRoutes } from './routes/usage.ts'

export interface About {
  version: string
  agentSdkVersion: string
  model: ModelSource
  containment: string
  /** What there is to give, and what keeps the next session. */
  admission(): Admission
  startedAt: number
}

export interface HttpContext {
  sessions: SessionContext
  previews: Previews
  webhooks: WebhookContext
  files: FileContext
  logger: Logger
  clock: Clock
  config: { host: string; port: number; corsOrigins: string[]; allowedHosts: string[] }
  about: About
  clientTools: ClientToolTokens
  metrics: Metrics
  access: AccessContext
  rates: RateLimits
  /** Notes that a key was used, now; written later. */
  noteUse(key: string): void
  /** A deployment may be due at another time now. */
  deploymentsChanged(): void
  /** Signs page cursors. */
  cursorKey: Buffer
}

/** What routes share besides the context. */
export interface RouteContext extends HttpContext {
  cursors: Cursors
  /** Aborted when the server stops: streams and waiting requests end. */
  closing: AbortSignal
  draining(): boolean
  console: Console
}

export type Server = FastifyInstance<
  import('node:http').Server,
  import('node:http').IncomingMessage,
  import('node:http').ServerResponse,
  import('fastify').FastifyBaseLogger,
  ZodTypeProvider
>

export interface HttpServer extends Service {
  readonly url: string
  readonly fastify: Server
  /** What each route needs. */
  readonly needs: ReadonlyMap<string, Need | null>
  /** From now on work is refused with `draining`; reading and watching go on. */
  drain(): void
}

/** Bytes of a request body, at most: a prompt of 1 MiB and images beside it. */
export const BODY_LIMIT = 32 * 1024 * 1024

/** Builds the HTTP server with all routes. Nothing listens until `start`. */
export async function buildServer(context: HttpContext): Promise<HttpServer> {
  const closing = new AbortController()
  let draining = false
  let url = ''
  const fastify = Fastify({
    bodyLimit: BODY_LIMIT,
    genReqId: requestIds(),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 256 },
    // Idle and slow connections are ended by Node's own timeouts; a body may take its time.
    requestTimeout: 300_000,
    keepAliveTimeout: 75_000,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
  }).withTypeProvider<ZodTypeProvider>() as unknown as Server
  fastify.setValidatorCompiler(validatorCompiler)
  // Answers are made from our own types; the schemas document them and tests hold the two together.
  fastify.setSerializerCompiler(() => (data) => JSON.stringify(data))
  const needs = routeNeeds(fastify)
  const console = consoleRoutes(fastify)
  const routes: RouteContext = {
    ...context,
    cursors: new Cursors(context.cursorKey),
    closing: closing.signal,
    draining: () => draining,
    console,
  }
  answerErrors(fastify, context.logger, console)
  closedDoors(fastify, context.config, context.access.required)
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('request-id', request.id)
    if (draining && request.method !== 'GET' && request.method !== 'OPTIONS')
      done(new ApiError('draining', 'The server is shutting down; send this again to the next one.', { retryAfter: 5 }))
    else done()
  })
  callers(fastify, context)
  shallowBodies(fastify)
  await openApi(fastify, context.about.version)
  ownWorkspaceOnly(fastify, context.sessions)
  withinPolicyOnly(fastify, context.sessions)
  idempotency(fastify, context.sessions)
  audited(fastify, context.sessions.store, new Refusals(context.sessions.store.audit, context.clock, context.logger))
  strictAnswers(fastify)
  fastify.addHook('onResponse', (request, reply, done) => {
    context.metrics.answered(
      request.method,
      request.routeOptions.url ?? 'none',
      reply.statusCode,
      reply.elapsedTime / 1000,
    )
    context.logger.debug(
      {
        req: request.id,
        method: request.method,
        url: loggedUrl(request),
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
      },
      'request',
    )
    done()
  })
  await fastify.register(async (scope) => {
    const server = scope as Server
    metaRoutes(server, routes)
    docsRoutes(server)
    originRoutes(server, routes)
    sessionRoutes(server, routes)
    eventRoutes(server, routes)
    firehoseRoutes(server, routes)
    turnRoutes(server, routes)
    branchRoutes(server, routes)
    contextRoutes(server, routes)
    exportRoutes(server, routes)
    approvalRoutes(server, routes)
    clientToolRoutes(server, routes)
    webhookRoutes(server, routes)
    fileRoutes(server, routes)
    skillRoutes(server, routes)
    environmentRoutes(server, routes)
    resourceRoutes(server, routes)
    queueRoutes(server, routes)
    usageRoutes(server, routes)
    apiKeyRoutes(server, routes)
    workspaceRoutes(server, routes)
    sessionTokenRoutes(server, routes)
    loginRoutes(server, routes)
    auditRoutes(server, routes)
    threadRoutes(server, routes)
    agentRoutes(server, routes)
    deploymentRoutes(server, routes)
  })
  return {
    fastify,
    needs,
    get url() {
      return url
    },
    drain() {
      draining = true
    },
    async start() {
      await fastify.listen({ host: context.config.host.replace(/^\[|\]$/g, ''), port: context.config.port })
      const { port, family, address } = fastify.server.address() as AddressInfo
      url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
    },
    async stop() {
      draining = true
      closing.abort()
      await fastify.close()
    },
  }
}

/** Ids of requests: a new beginning per process, then a number. Cheap, because every request has one. */
function requestIds(): () => string {
  const beginning = newId('req').slice(0, 22)
  let count = 0
  return () => beginning + (count++).toString(32).padStart(8, '0')
}
