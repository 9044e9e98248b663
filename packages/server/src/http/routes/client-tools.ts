import { ApiError } from '@troupe/protocol/error'
import { z } from 'zod'
import { clientToolResult, listClientTools } from '../../sessions/client-tools.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import type { RouteContext, Server } from '../server.ts'

const Call = z.looseObject({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.number()]).optional(),
  method: z.string().max(128),
  params: z.looseObject({}).optional(),
})

/**
 * The MCP server through which a session's agent sees the tools of its client: without state, over plain HTTP. A call
 * reaches it when the client's result is there, so it only hands that on. Only the session's own agent has the token.
 */
export function clientToolRoutes(server: Server, { sessions, clientTools, about }: RouteContext): void {
  server.post(
    '/internal/client-tools/:session_id',
    { schema: { hide: true, params: SessionParams, body: Call } as never },
    async (request, reply) => {
      const id = sessionIdOf((request.params as z.infer<typeof SessionParams>).session_id)
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
      if (token === undefined || !clientTools.fits(id, token))
        throw new ApiError('route_not_found', 'There is nothing here for you.')
      const call = request.body as z.infer<typeof Call>
      if (call.id === undefined) return reply.code(202).send()
      const answer = (result: unknown) => reply.send({ jsonrpc: '2.0', id: call.id, result })
      switch (call.method) {
        case 'initialize':
          return answer({
            protocolVersion: call.params?.protocolVersion ?? '2025-06-18',
            capabilities: { tools: {} },
            serverInfo: { name: 'troupe-client-tools', version: about.version },
          })
        case 'ping':
          return answer({})
        case 'tools/list':
          return answer({ tools: (await listClientTools(sessions, id)) ?? [] })
        case 'tools/call': {
          const meta = call.params?._meta as Record<string, unknown> | undefined
          return answer(await clientToolResult(sessions, id, String(meta?.['claudecode/toolUseId'] ?? '')))
        }
        default:
          return reply.send({
            jsonrpc: '2.0',
            id: call.id,
            error: { code: -32_601, message: `no method ${call.method}` },
          })
      }
    },
  )
}
