import type { TurnOutcome } from '../sessions/end-turn.ts'
import { unfit, withoutAnswer } from './turn-outcome.ts'

/** What an agent had answered when it had finished. */
export interface Answer {
  text: string
  /** Null where it gave none. */
  structured: unknown
}

interface Entry {
  type?: string
  isSidechain?: boolean
  isApiErrorMessage?: boolean
  toolEndsTurn?: boolean
  attachment?: { type?: string; data?: unknown; toolUseID?: string }
  message?: {
    content?: { type: string; text?: string; tool_use_id?: string }[] | string
    stop_reason?: string | null
  }
}

/**
 * What the agent answered at the end of a turn whose result was not received, where the transcript shows that it had
 * finished: by its last word, or by the tool that gives a structured answer and ends the turn (entries as 2.1.330 writes
 * them). Else null.
 */
export function finishedAnswer(transcript: string[]): Answer | null {
  for (let at = transcript.length - 1; at >= 0; at--) {
    const entry = JSON.parse(transcript[at]!) as Entry
    if ((entry.type !== 'assistant' && entry.type !== 'user') || entry.isSidechain) continue
    const { message } = entry
    if (!Array.isArray(message?.content)) return null
    if (entry.type === 'user') return entry.toolEndsTurn ? given(transcript, at, message.content[0]?.tool_use_id) : null
    if (entry.isApiErrorMessage || message.stop_reason !== 'end_turn') return null
    if (message.content.some((block) => block.type === 'tool_use')) return null
    const text = message.content.flatMap((block) => (block.type === 'text' ? [block.text ?? ''] : [])).join('\n')
    return { text, structured: null }
  }
  return null
}

/** The structured answer that a call gave, kept beside its result. */
function given(transcript: string[], before: number, toolUseId: string | undefined): Answer | null {
  for (let at = before - 1; at >= 0; at--) {
    const { type, attachment } = JSON.parse(transcript[at]!) as Entry
    if (type === 'assistant') return null
    if (attachment?.type === 'structured_output' && attachment.toolUseID === toolUseId)
      return { text: JSON.stringify(attachment.data), structured: attachment.data }
  }
  return null
}

/** How a turn ends that was done before its server ended; `structured`: an answer of a given form was asked for. */
export function finished({ text, structured }: Answer, asked: { structured: boolean }): TurnOutcome {
  const done: TurnOutcome = {
    status: 'completed',
    stopReason: { type: 'end_turn' },
    error: null,
    text,
    structured: asked.structured ? structured : null,
    usage: null,
    modelRequests: null,
  }
  return asked.structured && structured === null ? unfit(done, withoutAnswer(text)) : done
}
