import { type Caller, LOCAL_CALLER } from '../sessions/caller.ts'
import type { Server } from './server.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks. */
    caller: Caller
  }
}

/** Says of each request who asks, before any route sees it. Until there are keys everybody is the same one. */
export function callers(server: Server): void {
  server.decorateRequest('caller', null as never)
  server.addHook('onRequest', (request, _reply, done) => {
    request.caller = LOCAL_CALLER
    done()
  })
}
