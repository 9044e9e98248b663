import type { SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'
import type { ContentBlock } from '@troupe/protocol/event'
import { idToUuid, uuidToId } from '@troupe/protocol/ids'
import type { ApprovalRow } from '../store/approvals.ts'
import type { EventRow } from '../store/events.ts'
import type { Store } from '../store/store.ts'
import type { TurnRow } from '../store/turns.ts'
import { type Answer, finishedAnswer } from './finished-turn.ts'

/** How a turn's agent begins. */
export interface Opening {
  /** It needs a process of its own. */
  anew: boolean
  /** The call that was parked and is made again first. */
  parked: ApprovalRow | null
  /** Goes on with what the end of a server cut off. */
  recover: boolean
  /** What is sent first, as one message. */
  message: EventRow[]
  /** What is sent behind it, into the same turn. */
  steers: EventRow[]
  /** The turn was done before its server ended; this is what the agent answered. */
  finished: Answer | null
}

/**
 * How a turn's agent begins: with its input, with a parked call, or with what the end of a server cut off. `taken`: the
 * inputs that an agent has, or is given now; `isSent`: those that the live process has been given already.
 */
export async function openTurn(
  store: Store,
  turn: TurnRow,
  inputs: EventRow[],
  { taken, isSent }: { taken: ReadonlySet<string>; isSent(input: EventRow): boolean },
): Promise<Opening> {
  const steers = inputs.filter((input) => !taken.has(input.id))
  const known = inputs.filter((input) => taken.has(input.id))
  const anew: Opening = { anew: true, parked: null, recover: false, message: [], steers, finished: null }
  if (turn.resume === 'approval') {
    const state = await store.readSessionState(turn.sessionId)
    const parked = state?.approvals.find((open) => open.turnId === turn.id && open.threadId === null)
    if (!parked) throw new Error(`turn ${turn.id} was parked and nothing of it is open`)
    return { ...anew, parked }
  }
  if (turn.resume === 'recovery') {
    const [first] = known
    // Where the input had not reached the transcript, the turn begins anew.
    if (!first || !(await store.transcriptHas(turn.sessionId, idToUuid(first.id)))) return { ...anew, message: known }
    const transcript = await store.loadTranscript(turn.sessionId, '')
    if (await wentOn(store, turn, transcript)) return { ...anew, message: known }
    const answer = finishedAnswer(transcript)
    return { ...anew, recover: answer === null, finished: answer }
  }
  // What came too late to steer the last turn is with its process already, as the next thing it does.
  const rest = known.filter((input) => !isSent(input))
  const begun = rest.length < known.length
  return { ...anew, anew: false, message: begun ? [] : rest, steers: begun ? rest : [] }
}

/**
 * Whether the conversation has gone on to other inputs since this turn's came into the transcript: an agent on its way
 * out may take what is then given to the next one as a turn of its own. What stands at the end is not this turn's.
 */
async function wentOn(store: Store, turn: TurnRow, transcript: string[]): Promise<boolean> {
  const own = new Set(turn.inputEventIds.map((id) => idToUuid(id)))
  for (const line of transcript.toReversed()) {
    const { type, uuid } = JSON.parse(line) as { type?: string; uuid?: string }
    if (type !== 'user' || uuid === undefined) continue
    if (own.has(uuid)) return false
    const input = await store.readEvent(turn.sessionId, uuidToId('sevt', uuid))
    if (input) return true
  }
  return false
}

type InputBody = { content: ContentBlock[]; accompanies?: string }
const bodyOf = ({ body }: EventRow) => JSON.parse(body) as InputBody

/** Inputs as one message of the user. Its uuid is that of the first: the transcript keeps it, and the agent says when it took it. */
export function userMessage(events: EventRow[], priority: 'next' | 'later'): SDKUserMessage {
  const content = events.flatMap((event) => (bodyOf(event).accompanies === undefined ? bodyOf(event).content : []))
  return {
    type: 'user',
    message: { role: 'user', content: content as never },
    parent_tool_use_id: null,
    uuid: idToUuid(events[0]!.id) as NonNullable<SDKUserMessage['uuid']>,
    priority,
  }
}

/** What the agent is told besides that message; null: nothing. */
export function systemNote(events: EventRow[]): string | null {
  const texts = events
    .filter((event) => bodyOf(event).accompanies !== undefined)
    .flatMap((event) => bodyOf(event).content.map((block) => (block.type === 'text' ? block.text : '')))
  return texts.length === 0 ? null : texts.join('\n')
}
