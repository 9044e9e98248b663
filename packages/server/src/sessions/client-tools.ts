import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { customToolsOf } from '../agents/agent-tools.ts'
import type { SessionContext } from './context.ts'

/** Gives each session's agent a token for the tools of its own client, and no other's. Lasts as long as this server. */
export class ClientToolTokens {
  readonly #key = randomBytes(32)

  token(sessionId: string): string {
    return createHmac('sha256', this.#key).update(sessionId).digest('base64url')
  }

  fits(sessionId: string, token: string): boolean {
    const right = Buffer.from(this.token(sessionId))
    const given = Buffer.from(token)
    return right.length === given.length && timingSafeEqual(right, given)
  }
}

/** The tools of a session's client, as MCP lists them. Null when there is no such session. */
export async function listClientTools(context: SessionContext, sessionId: string) {
  const session = await context.store.readSession(sessionId)
  return (
    session &&
    customToolsOf(session.agent).map(({ name, description, input_schema }) => ({
      name,
      description,
      inputSchema: input_schema,
    }))
  )
}

export interface ToolResult {
  content: { type: string; [field: string]: unknown }[]
  isError: boolean
}

/** What the client gave back for a call, by the agent's id of it. Answers with an error where nothing was given. */
export async function clientToolResult(
  context: SessionContext,
  sessionId: string,
  sdkToolUseId: string,
): Promise<ToolResult> {
  const row = await context.store.approvals.ofCall(sessionId, sdkToolUseId)
  if (row?.kind !== 'custom_tool_result' || row.status !== 'allowed' || !row.decision)
    return { content: [{ type: 'text', text: 'The client has given no result for this call.' }], isError: true }
  const { content, is_error } = row.decision
  const blocks = (content ?? []).map(toMcp)
  return { content: blocks.length > 0 ? blocks : [{ type: 'text', text: '' }], isError: is_error }
}

/** A block as MCP writes it: images carry their bytes themselves, the rest that is not text is written out as JSON. */
function toMcp(block: { type: string; [field: string]: unknown }): ToolResult['content'][number] {
  if (block.type === 'text' && typeof block.text === 'string') return { type: 'text', text: block.text }
  const source = block.source as { type?: string; data?: string; media_type?: string } | undefined
  if (block.type === 'image' && source?.type === 'base64')
    return { type: 'image', data: source.data, mimeType: source.media_type }
  return { type: 'text', text: JSON.stringify(block) }
}
