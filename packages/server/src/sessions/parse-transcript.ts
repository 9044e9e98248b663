import { ApiError } from '@troupe/protocol/error'
import type { ContentBlock } from '@troupe/protocol/event'
import { uuidToId } from '@troupe/protocol/ids'
import type { NewEvent } from '../store/events.ts'

/** What of a transcript is taken, at most. */
export const MAX_ENTRIES = 50_000

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** An entry that was looked at. Of what stands in it nothing is believed but that it is text. */
export interface Entry {
  uuid: string | null
  body: string
  value: Record<string, unknown>
}

export interface Transcript {
  /** The conversation's own id. */
  uuid: string
  entries: Entry[]
}

/** Reads a native transcript, a line of JSON for each entry. Throws `validation_failed`, naming the line. */
export function parseTranscript(text: string): Transcript {
  const entries: Entry[] = []
  const seen = new Set<string>()
  let uuid: string | null = null
  const wrong = (line: number, what: string) =>
    new ApiError('validation_failed', `Line ${line} of the transcript ${what}.`, {
      errors: [{ pointer: '/transcript', code: 'invalid', detail: `line ${line} ${what}` }],
    })
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const value = parsed(line)
    if (!value) throw wrong(index + 1, 'is not a JSON object')
    if (typeof value.type !== 'string') throw wrong(index + 1, 'has no type')
    if (value.sessionId !== undefined) {
      if (typeof value.sessionId !== 'string' || !UUID.test(value.sessionId))
        throw wrong(index + 1, 'has a sessionId that is not a UUID')
      uuid ??= value.sessionId
      if (uuid !== value.sessionId) throw wrong(index + 1, `belongs to session ${value.sessionId}, others to ${uuid}`)
    }
    const own = value.uuid ?? null
    if (own !== null && (typeof own !== 'string' || !UUID.test(own))) throw wrong(index + 1, 'has a uuid that is none')
    // Written twice: the first counts, as it does for the agent.
    if (own !== null && seen.has(own)) continue
    if (own !== null) seen.add(own)
    entries.push({ uuid: own, body: line, value })
    if (entries.length > MAX_ENTRIES)
      throw new ApiError('session_too_large', `The transcript has more than ${MAX_ENTRIES} entries.`)
  }
  if (uuid === null || !entries.some(({ value }) => value.type === 'user'))
    throw new ApiError('validation_failed', 'That is no transcript: it needs entries with a sessionId, and an input.')
  return { uuid, entries }
}

function parsed(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

interface Block {
  type?: unknown
  text?: unknown
  id?: unknown
  name?: unknown
  input?: unknown
  tool_use_id?: unknown
  content?: unknown
  is_error?: unknown
}

/** An input of the conversation, with what came of it, as events. */
export interface PastTurn {
  inputId: string
  text: string
  content: ContentBlock[]
  answer: string | null
  /** After the input. */
  events: Omit<NewEvent, 'turnId' | 'processedAt'>[]
}

/** The conversation as turns. What is no input, word, call or result is left to the transcript. */
export function pastTurns(entries: Entry[], eventId: () => string): PastTurn[] {
  const turns: PastTurn[] = []
  const calls = new Map<string, { id: string; mcp: boolean }>()
  for (const { uuid, value } of entries) {
    const { type, isSidechain, isMeta, message } = value as {
      type: string
      isSidechain?: unknown
      isMeta?: unknown
      message?: { content?: unknown }
    }
    if (isSidechain === true || isMeta === true || (type !== 'user' && type !== 'assistant')) continue
    const blocks = blocksOf(message?.content)
    const text = blocks.flatMap((block) =>
      block.type === 'text' && typeof block.text === 'string' ? [block.text] : [],
    )
    const results = blocks.filter((block) => block.type === 'tool_result')
    if (type === 'user' && results.length === 0) {
      if (uuid === null || text.join('').trim() === '') continue
      const content = text.map((each): ContentBlock => ({ type: 'text', text: each }))
      turns.push({ inputId: uuidToId('sevt', uuid), text: text.join('\n'), content, answer: null, events: [] })
      continue
    }
    const turn = turns.at(-1)
    if (!turn) continue
    const add = (name: string, body: Record<string, unknown>, id = eventId()) =>
      turn.events.push({ id, type: name, threadId: null, body })
    for (const block of blocks) {
      if (type === 'assistant' && block.type === 'text' && typeof block.text === 'string' && block.text !== '') {
        turn.answer = block.text
        add('agent.message', { content: [{ type: 'text', text: block.text }] })
      } else if (type === 'assistant' && block.type === 'tool_use' && typeof block.name === 'string') {
        const id = eventId()
        const mcp = /^mcp__(.+?)__(.+)$/s.exec(block.name)
        if (typeof block.id === 'string') calls.set(block.id, { id, mcp: mcp !== null })
        const common = { input: block.input ?? {}, evaluated_permission: 'allow', sdk_tool_use_id: block.id ?? null }
        if (mcp) add('agent.mcp_tool_use', { mcp_server_name: mcp[1], name: mcp[2], ...common }, id)
        else add('agent.tool_use', { name: block.name, ...common }, id)
      } else if (block.type === 'tool_result') {
        const call = calls.get(String(block.tool_use_id))
        const body = { content: textBlocks(block.content), is_error: block.is_error === true }
        if (call?.mcp) add('agent.mcp_tool_result', { mcp_tool_use_id: call.id, ...body })
        else if (call) add('agent.tool_result', { tool_use_id: call.id, ...body })
      }
    }
  }
  return turns
}

const blocksOf = (content: unknown): Block[] =>
  typeof content === 'string'
    ? [{ type: 'text', text: content }]
    : Array.isArray(content)
      ? content.filter((block): block is Block => typeof block === 'object' && block !== null)
      : []

const textBlocks = (content: unknown) =>
  blocksOf(content).map(({ type, text }) => ({
    type: 'text',
    text: type === 'text' && typeof text === 'string' ? text : `[${String(type)}]`,
  }))
