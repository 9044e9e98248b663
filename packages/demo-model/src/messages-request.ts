import { isRecord } from './step.ts'

export interface Block {
  type: string
  [field: string]: unknown
}

/** `system` inside the conversation is how newer models receive reminders and messages sent in mid-turn. */
export interface Message {
  role: 'user' | 'assistant' | 'system'
  content: Block[]
}

export interface Tool {
  name: string
  input_schema: Record<string, unknown>
}

/** The parts of a Messages request that matter here, with every content as blocks. */
export interface MessagesRequest {
  model: string
  stream: boolean
  messages: Message[]
  tools: Tool[]
  systemText: string
  /** False when the caller wants no thinking blocks. */
  thinking: boolean
  /** The JSON schema the answer's text must follow (`output_config.format`), or null. */
  outputSchema: Record<string, unknown> | null
  metadataUserId: string | null
}

/** The request body is not a Messages request; the message says why. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
}

export function parseMessagesRequest(body: unknown): MessagesRequest {
  if (!isRecord(body)) throw new RequestError('the body must be a JSON object')
  if (typeof body.model !== 'string') throw new RequestError('model: Field required')
  if (!Array.isArray(body.messages) || body.messages.length === 0) {
    throw new RequestError('messages: at least one message is required')
  }
  const format = isRecord(body.output_config) ? body.output_config.format : undefined
  const thinking = isRecord(body.thinking) && body.thinking.type !== 'disabled'
  return {
    model: body.model,
    stream: body.stream === true,
    messages: body.messages.map(parseMessage),
    tools: Array.isArray(body.tools) ? body.tools.filter(isRecord).map(parseTool) : [],
    systemText: textOf(blocksOf(body.system)),
    thinking,
    outputSchema: isRecord(format) && isRecord(format.schema) ? format.schema : null,
    metadataUserId: isRecord(body.metadata) && typeof body.metadata.user_id === 'string' ? body.metadata.user_id : null,
  }
}

function parseMessage(value: unknown, index: number): Message {
  const role = isRecord(value) ? value.role : undefined
  if (role !== 'user' && role !== 'assistant' && role !== 'system') {
    throw new RequestError(`messages.${index}.role: must be user, assistant or system`)
  }
  return { role, content: blocksOf((value as Record<string, unknown>).content) }
}

function parseTool(tool: Record<string, unknown>): Tool {
  return { name: String(tool.name), input_schema: isRecord(tool.input_schema) ? tool.input_schema : {} }
}

/** A content as blocks: a string is one text block, anything unreadable none. */
export function blocksOf(content: unknown): Block[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  if (!Array.isArray(content)) return []
  return content.filter((block): block is Block => isRecord(block) && typeof block.type === 'string')
}

export function textOf(blocks: readonly Block[]): string {
  return blocks
    .map((block) => block.text)
    .filter((text) => typeof text === 'string')
    .join('\n')
}
