import { MAX_SKILL_FILES } from '@troupe/protocol/skill'
import swagger from '@fastify/swagger'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import type { Server } from './server.ts'

/** `/openapi.json`, made from the schemas that validate. */
export async function openApi(server: Server, version: string): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Troupe',
        version,
        description:
          'The Claude Agent SDK, as a server. `/v1` is a wire-compatible subset of the Claude Managed Agents API with additions; the routes without a prefix are the origin API.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'Sessions', description: 'Durable conversations with an agent in a workdir' },
        { name: 'Events', description: "A session's log, which is also its inbox" },
        { name: 'Turns', description: 'From an input to its result' },
        { name: 'Files', description: 'Immutable, under an id' },
        { name: 'Webhooks', description: 'Events sent to your server, signed, until they arrive' },
        { name: 'Access', description: 'Keys, workspaces, and tokens for browsers' },
        { name: 'Server', description: 'Health, models and what this server can do' },
        { name: 'Origin API', description: 'The five endpoints of the article this project implements, and two more' },
      ],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => withoutUnused(asAnswered(jsonSchemaTransformObject(document))),
  })
}

/** Drops schemas that nothing refers to: the provider writes each one twice, as input and as output. */
function withoutUnused<T extends object>(document: T): T {
  const schemas = (document as { components?: { schemas?: Record<string, unknown> } }).components?.schemas
  if (!schemas) return document
  for (let found = true; found;) {
    const text = JSON.stringify(document)
    const unused = Object.keys(schemas).filter((name) => !text.includes(`"#/components/schemas/${name}"`))
    for (const name of unused) delete schemas[name]
    found = unused.length > 0
  }
  return document
}

interface Operation {
  parameters?: object[]
  requestBody?: { required?: boolean; content: Record<string, { schema: { anyOf?: { type?: string }[] } }> }
  responses: Record<string, { content?: Record<string, { schema: { $ref?: string } }> }>
}

const header = (name: string, description: string, schema: object = { type: 'string' }) => ({
  in: 'header',
  name,
  required: false,
  description,
  schema,
})
const IDEMPOTENCY_KEY = header('Idempotency-Key', 'The same request again under this key is answered, not done again', {
  type: 'string',
  minLength: 1,
  maxLength: 255,
})
const PREFER = header('Prefer', '`wait=N`: answer when the session is idle, or after N seconds, at most 600')
const LAST_EVENT_ID = header(
  'Last-Event-ID',
  'Like `after`, and before it: what `EventSource` sends when it reconnects',
)

const COMPAT = {
  in: 'query',
  name: 'compat',
  required: false,
  description: "No event types and values of enumerations but the hosted API's",
  schema: { type: 'string', enum: ['strict'] },
}

const form = (required: string, properties: object) => ({
  required: true,
  content: { 'multipart/form-data': { schema: { type: 'object', required: [required], properties } as object } },
})
const BINARY = { type: 'string', format: 'binary' }
const SKILL_FILES = { 'files[]': { type: 'array', items: BINARY, minItems: 1, maxItems: MAX_SKILL_FILES } }
/** What is sent as a form, by path. */
const UPLOADS: Record<string, ReturnType<typeof form>> = {
  '/v1/files': form('file', { file: BINARY }),
  '/v1/skills': form('files[]', { ...SKILL_FILES, display_name: { type: 'string', minLength: 1, maxLength: 255 } }),
  '/v1/skills/{skill_id}/versions': form('files[]', SKILL_FILES),
}

/** What comes as a file, by the types that it may have. */
const DOWNLOADS: Record<string, string[]> = {
  '/v1/sessions/{session_id}/export': ['application/x-ndjson', 'text/markdown', 'text/html'],
  '/v1/audit_events/export': ['application/x-ndjson'],
  '/v1/files/{file_id}/content': ['application/octet-stream'],
  '/v1/skills/{skill_id}/versions/{version}/content': ['application/zip'],
  '/v1/sessions/{session_id}/workdir': ['application/gzip', 'application/x-tar'],
}

/** Tells what the provider cannot know: media types other than JSON, headers, and bodies that may be left out. */
function asAnswered<T extends object>(document: T): T {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Operation>> }
  for (const [path, methods] of Object.entries(paths))
    for (const [method, operation] of Object.entries(methods)) {
      const creates = path === '/v1/sessions' && method === 'post'
      const streams = path.endsWith('/stream')
      for (const [status, { content }] of Object.entries(operation.responses)) {
        const json = content?.['application/json']
        if (!content || !json) continue
        const problem = json.schema.$ref?.endsWith('/Error') && path.startsWith('/v1/')
        if (problem) content['application/problem+json'] = json
        else if (status === '200' && (creates || streams)) content['text/event-stream'] = { schema: {} }
        const files = status === '200' ? DOWNLOADS[path] : undefined
        for (const type of files ?? []) content[type] = { schema: {} }
        if (problem || files || (status === '200' && streams)) delete content['application/json']
      }
      const uploaded = method === 'post' ? UPLOADS[path] : undefined
      if (uploaded) operation.requestBody = uploaded
      const { requestBody } = operation
      if (requestBody?.content['application/json']?.schema.anyOf?.some(({ type }) => type === 'null'))
        requestBody.required = false
      const headers = [
        ...(method === 'get' ? [] : [IDEMPOTENCY_KEY]),
        ...(creates || (path.endsWith('/events') && method === 'post') ? [PREFER] : []),
        ...(streams ? [LAST_EVENT_ID] : []),
        ...(path.startsWith('/v1/sessions') ? [COMPAT] : []),
      ]
      if (headers.length > 0) operation.parameters = [...(operation.parameters ?? []), ...headers]
    }
  return document
}
