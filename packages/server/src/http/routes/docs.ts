import type { FastifyInstance } from 'fastify'
import type { Server } from '../server.ts'

/**
 * `/docs`: the API reference, from this server alone. The page's library is large and rarely wanted, so it is loaded
 * at the first visit, on an inner server that never listens.
 */
export function docsRoutes(server: Server): void {
  let inner: Promise<FastifyInstance> | null = null
  server.get('/docs', { schema: { hide: true } as never }, visit)
  server.get('/docs/*', { schema: { hide: true } as never }, visit)
  server.addHook('onClose', async () => {
    await (await inner)?.close()
  })

  async function visit(request: import('fastify').FastifyRequest, reply: import('fastify').FastifyReply) {
    // The page names its script relative to itself.
    if (request.url === '/docs') return reply.redirect('/docs/')
    inner ??= reference(server)
    const page = await (await inner).inject({ method: 'GET', url: request.url })
    for (const name of ['content-type', 'location', 'etag', 'cache-control'])
      if (page.headers[name] !== undefined) void reply.header(name, page.headers[name])
    void reply.header(
      'content-security-policy',
      "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'",
    )
    return reply
      .code(page.statusCode)
      .serializer((body: Buffer) => body as never)
      .send(page.rawPayload)
  }
}

async function reference(server: Server): Promise<FastifyInstance> {
  const [{ default: Fastify }, { default: plugin }] = await Promise.all([
    import('fastify'),
    import('@scalar/fastify-api-reference'),
  ])
  const inner = Fastify()
  await inner.register(plugin, {
    routePrefix: '/docs',
    configuration: {
      title: 'Troupe API',
      content: server.swagger() as never,
      withDefaultFonts: false,
      telemetry: false,
      agent: { disabled: true },
      mcp: { disabled: true },
      hideClientButton: true,
      showDeveloperTools: 'never',
    },
  })
  await inner.ready()
  return inner
}
