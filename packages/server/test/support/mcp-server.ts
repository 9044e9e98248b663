import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface McpServer {
  url: string
  /** Names of the tools that were called, in order. */
  called: string[]
  close(): void
}

const TOOLS = ['add', 'erase', 'look.up']

/** A small MCP server over HTTP, without sessions: each of its tools answers with its name. */
export async function mcpServer(address = '127.0.0.1'): Promise<McpServer> {
  const called: string[] = []
  const server = createServer((request, response) => {
    void answer(request).then((result) => {
      if (result === null) return response.writeHead(request.method === 'POST' ? 202 : 405).end()
      return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result))
    })
  })
  async function answer(request: IncomingMessage) {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    if (request.method !== 'POST') return null
    const { id, method, params } = JSON.parse(text) as { id?: number; method: string; params: Record<string, string> }
    if (id === undefined) return null
    const result = (value: unknown) => ({ jsonrpc: '2.0', id, result: value })
    if (method === 'initialize')
      return result({
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: 'test', version: '1' },
      })
    if (method === 'tools/list')
      return result({ tools: TOOLS.map((name) => ({ name, description: name, inputSchema: { type: 'object' } })) })
    if (method === 'tools/call') {
      called.push(params.name!)
      return result({ content: [{ type: 'text', text: `${params.name} done` }] })
    }
    return { jsonrpc: '2.0', id, error: { code: -32_601, message: `no method ${method}` } }
  }
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  return {
    url: `http://${address}:${(server.address() as AddressInfo).port}/mcp`,
    called,
    close: () => void server.close(),
  }
}
