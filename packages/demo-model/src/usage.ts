import type { Reply } from './reply.ts'
import { isRecord, type Usage } from './step.ts'

/** The written part of the input, by how long it lives. */
export interface CacheLifetimes {
  ephemeral_5m_input_tokens: number
  ephemeral_1h_input_tokens: number
}

const CHARS_PER_TOKEN = 4

const tokensIn = (chars: number): number => Math.ceil(chars / CHARS_PER_TOKEN)
const charsIn = (value: unknown): number => (value === undefined ? 0 : JSON.stringify(value).length)

/** Whole input of a request body, in tokens of four characters. */
export function inputTokens(body: unknown): number {
  const { system, tools, messages } = isRecord(body) ? body : {}
  return tokensIn(charsIn(system) + charsIn(tools) + charsIn(messages))
}

/**
 * The input side as a caching model would bill it: what the previous request of the conversation held is read from
 * the cache, the rest is written to it, and the last message is neither. Without any `cache_control`, all is plain
 * input. The same body always gives the same figures.
 */
export function usageOfInput(body: unknown): Usage {
  const total = inputTokens(body)
  const usage = { input_tokens: total, output_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }
  if (!isRecord(body) || !Array.isArray(body.messages) || !isCached(body)) return usage
  const answered = body.messages.findLastIndex((message) => isRecord(message) && message.role === 'assistant')
  const previous = charsIn(body.system) + charsIn(body.tools) + charsIn(body.messages.slice(0, Math.max(answered, 0)))
  usage.input_tokens = Math.min(tokensIn(charsIn(body.messages.at(-1))), total)
  usage.cache_read_input_tokens = answered === -1 ? 0 : Math.min(tokensIn(previous), total - usage.input_tokens)
  usage.cache_creation_input_tokens = total - usage.input_tokens - usage.cache_read_input_tokens
  return usage
}

/** How long what the request wrote to the cache will live: an hour where it asks for that anywhere, else five minutes. */
export function lifetimes(body: unknown, { cache_creation_input_tokens: written }: Usage): CacheLifetimes {
  const hour = isRecord(body) && JSON.stringify([body.system, body.tools, body.messages]).includes('"ttl":"1h"')
  return { ephemeral_5m_input_tokens: hour ? 0 : written, ephemeral_1h_input_tokens: hour ? written : 0 }
}

function isCached(body: Record<string, unknown>): boolean {
  return JSON.stringify([body.system, body.tools, body.messages]).includes('"cache_control":{')
}

export function outputTokens(content: Reply['content']): number {
  return Math.max(1, tokensIn(charsIn(content)))
}
