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
        { name: 'Server', description: 'Health, models and what this server can do' },
        { name: 'Origin API', description: 'The five endpoints of the article this project implements, and two more' },
      ],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => withoutUnused(jsonSchemaTransformObject(document)),
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
