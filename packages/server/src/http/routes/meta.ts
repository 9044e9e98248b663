import { ApiError } from '@troupe/protocol/error'
import { Health, Info, Model, ModelList, Ready } from '@troupe/protocol/info'
import { z } from 'zod'
import { CAPABILITIES } from '../../capabilities.ts'
import { memoryToWire } from '../../sessions/queue-status.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Server']

/** Aliases that Claude Code resolves; any other name is handed to the agent as it is. */
const MODEL_ALIASES = ['default', 'sonnet', 'opus', 'haiku'] as const

/** Which model an alias is today, and what that can do, the endpoint knows and not this server: those fields are null. */
const MODELS: z.infer<typeof Model>[] = MODEL_ALIASES.map((id) => ({
  type: 'model',
  id,
  display_name: id === 'default' ? "Claude Code's default" : `Newest ${id[0]!.toUpperCase()}${id.slice(1)}`,
  created_at: '1970-01-01T00:00:00Z',
  lifecycle: 'active',
  line: id === 'default' ? null : id,
  capabilities: null,
  max_input_tokens: null,
  max_tokens: null,
  allowed_fallback_models: null,
  deprecated_at: null,
  retires_at: null,
}))

export function metaRoutes(server: Server, context: RouteContext): void {
  const { about, clock, sessions } = context

  server.get(
    '/health',
    { schema: { tags, summary: 'Is the process alive', response: { 200: Health } } },
    async (_request, reply) =>
      reply.send({ status: 'ok', uptime_seconds: Math.max(0, clock.now() - about.startedAt) / 1000 }),
  )

  server.get(
    '/ready',
    { schema: { tags, summary: 'Can it take work', response: { 200: Ready, 503: Ready } } },
    async (_request, reply) => {
      const reasons: string[] = []
      if (context.draining()) reasons.push('The server is shutting down.')
      if (about.model.source === 'none') reasons.push(about.model.note)
      if (sessions.settings.agentProblem) reasons.push(sessions.settings.agentProblem)
      await sessions.store.checkWritable().catch((error: Error) => reasons.push(error.message))
      return reply
        .code(reasons.length === 0 ? 200 : 503)
        .send({ status: reasons.length === 0 ? 'ready' : 'not_ready', reasons })
    },
  )

  server.get(
    '/v1/info',
    { schema: { tags, summary: 'What this server is and can do', response: replies(Info) } },
    async (_request, reply) =>
      reply.send({
        name: 'troupe',
        version: about.version,
        agent_sdk_version: about.agentSdkVersion,
        model: { source: about.model.source, note: about.model.note },
        containment: about.containment,
        keys_required: context.access.required,
        slots: about.admission().slots,
        memory: memoryToWire(about.admission()),
        capabilities: Object.fromEntries(CAPABILITIES.map(({ id, status }) => [id, status])),
      }),
  )

  server.get(
    '/v1/models',
    {
      schema: {
        tags,
        summary: 'Models by alias',
        description: 'Full names and Bedrock or Vertex ids work as well; they are handed to the agent as they are.',
        querystring: z.looseObject({}),
        response: replies(ModelList),
      },
    },
    async (_request, reply) =>
      reply.send({ data: MODELS, has_more: false, first_id: MODELS[0]!.id, last_id: MODELS.at(-1)!.id }),
  )

  server.get(
    '/v1/models/:model_id',
    {
      schema: {
        tags,
        summary: 'One model by alias',
        params: z.object({ model_id: z.string().max(200) }),
        response: replies(Model),
      },
    },
    async ({ params }, reply) => {
      const model = MODELS.find(({ id }) => id === params.model_id)
      if (!model)
        throw new ApiError(
          'model_not_found',
          'There is no such alias. Full names of models are handed to the agent as they are; whether they exist is not known here.',
        )
      return reply.send(model)
    },
  )

  server.get('/openapi.json', { schema: { hide: true } as never }, async (_request, reply) =>
    reply.type('application/json').send(server.swagger()),
  )

  server.get('/metrics', { schema: { hide: true } as never }, async (_request, reply) =>
    reply
      .type(context.metrics.contentType)
      .serializer((text: string) => text)
      .send(await context.metrics.text()),
  )
}
