import type { SDKSystemMessage } from '@anthropic-ai/claude-agent-sdk'
import type { SessionAgent } from '@troupe/protocol/agent'
import type { SessionError } from '@troupe/protocol/event'

/** Knows which MCP servers of an agent one process has told to be missing: each is told once. */
export class McpWatch {
  readonly #expected: string[]
  readonly #told = new Set<string>()

  constructor(agent: Pick<SessionAgent, 'mcp_servers'>) {
    this.#expected = agent.mcp_servers.map(({ name }) => String(name))
  }

  /** What is wrong, by what the agent says at the beginning of a turn. One that is still on its way is not missing yet. */
  failures(servers: SDKSystemMessage['mcp_servers']): SessionError[] {
    const errors: SessionError[] = []
    for (const name of this.#expected) {
      const status = servers.find((server) => server.name === name)?.status ?? 'not started'
      if (status === 'connected' || status === 'pending' || this.#told.has(name)) continue
      this.#told.add(name)
      const signIn = status === 'needs-auth'
      errors.push({
        type: signIn ? 'mcp_authentication_failed_error' : 'mcp_connection_failed_error',
        code: signIn ? 'mcp_authentication_failed' : 'mcp_connection_failed',
        message: `The MCP server ${name} ${signIn ? 'wants a sign-in' : `is not there (${status})`}. The agent goes on without its tools; they are tried again at its next start.`,
        mcp_server_name: name,
        retry_status: { type: 'retrying' },
      })
    }
    return errors
  }
}
