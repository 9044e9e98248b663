import Fastify from 'fastify'

/** What a server that does nothing costs. Takes the arguments of `serve-child.ts`. */
const { port } = JSON.parse(process.argv[2] ?? '{}') as { port: number }
const server = Fastify()
server.get('/health', () => ({ status: 'ok' }))
await server.listen({ host: '127.0.0.1', port })
process.once('SIGTERM', () => process.exit(0))
