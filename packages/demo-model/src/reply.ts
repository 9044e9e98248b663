import { randomBytes } from 'node:crypto'
import type { MessagesRequest } from './messages-request.ts'
import type { Step, Usage } from './step.ts'
import { type CacheLifetimes, lifetimes, outputTokens, usageOfInput } from './usage.ts'

export type ReplyBlock =
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'text'; text: string }
  | { type: 'tool_use'; id: string; name: string; input: Record<string, unknown> }

/** One response of the model, in the shape of the Messages API. */
export interface Reply {
  id: string
  type: 'message'
  role: 'assistant'
  model: string
  content: ReplyBlock[]
  stop_reason: string
  stop_sequence: null
  usage: Usage & { cache_creation: CacheLifetimes }
}

export function replyOf(step: Step, request: MessagesRequest, body: unknown): Reply {
  const content: ReplyBlock[] = []
  if (step.think !== undefined && request.thinking) {
    content.push({ type: 'thinking', thinking: step.think, signature: Buffer.from(step.think).toString('base64') })
  }
  // A failure or a hang may come without words of its own; an answer with nothing in it would stop the agent.
  const say = step.say ?? (step.tools?.length ? '' : 'Here I am.')
  if (say !== '') content.push({ type: 'text', text: say })
  for (const { id = newId('toolu'), name, input } of step.tools ?? []) {
    content.push({ type: 'tool_use', id, name, input })
  }
  const usage = { ...usageOfInput(body), output_tokens: outputTokens(content), ...step.usage }
  return {
    id: newId('msg'),
    type: 'message',
    role: 'assistant',
    model: request.model,
    content,
    stop_reason: step.stop_reason ?? (step.tools?.length ? 'tool_use' : 'end_turn'),
    stop_sequence: null,
    usage: { ...usage, cache_creation: lifetimes(body, usage) },
  }
}

/** A fresh id such as `msg_01d8…`. */
export function newId(prefix: string): string {
  return `${prefix}_01${randomBytes(11).toString('hex')}`
}
