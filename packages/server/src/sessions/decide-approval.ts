import {
  Answers,
  type Decision as Verdict,
  type DecideApproval,
  type UserCustomToolResult,
} from '@troupe/protocol/approval'
import { ApiError } from '@troupe/protocol/error'
import { newId } from '@troupe/protocol/ids'
import type { z } from 'zod'
import type { ApprovalRow } from '../store/approvals.ts'
import type { NewEvent } from '../store/events.ts'
import { changeSession, type Decision, type SessionState } from './change-session.ts'
import type { SessionContext } from './context.ts'
import type { Idempotency } from './create-session.ts'
import { goOn } from './approval-state.ts'
import { interruptDecision, newInterrupt } from './interrupt.ts'
import { mergeDecisions } from './merge-decisions.ts'

/** An answer to what was asked, before it is known what kind of thing that was. */
export interface Answer {
  approvalId: string
  eventId: string
  type: 'user.tool_confirmation' | 'user.custom_tool_result'
  given: z.infer<typeof DecideApproval>
  actor: string | null
}

export function answerOf(type: Answer['type'], approvalId: string, given: z.infer<typeof DecideApproval>): Answer {
  return { approvalId, eventId: newId('sevt'), type, given, actor: given.actor ?? null }
}

/** A client's result as an answer. */
export const resultAnswer = (event: z.infer<typeof UserCustomToolResult>): Answer =>
  answerOf('user.custom_tool_result', event.custom_tool_use_id, {
    result: 'allow',
    content: event.content ?? [],
    is_error: event.is_error ?? false,
    actor: event.actor,
  })

/**
 * What an answer changes. The first one wins: throws `approval_not_pending` for any later one, `approval_not_found` for
 * what was never asked in this session, `validation_failed` for an answer of the wrong kind.
 */
export function answerDecision(state: SessionState, answer: Answer, known: ApprovalRow | null, at: number): Decision {
  const { session } = state
  const row = state.approvals.find((open) => open.id === answer.approvalId && open.status === 'pending')
  if (!row) {
    if (known && known.sessionId === session.id)
      throw new ApiError(
        'approval_not_pending',
        `${known.id} is not pending: it is ${known.status}${known.actor ? `, by ${known.actor}` : ''}.`,
      )
    throw new ApiError(
      'approval_not_found',
      `Session ${session.id} does not wait for an answer to ${answer.approvalId}.`,
    )
  }
  const turn = state.openTurns.find((open) => open.id === row.turnId)
  if (!turn) throw new ApiError('approval_not_pending', `The turn of ${row.id} has ended.`)
  const verdict = verdictOf(row, answer)
  const status = verdict.result === 'allow' ? ('allowed' as const) : ('denied' as const)
  const event: NewEvent = {
    id: answer.eventId,
    type: answer.type,
    turnId: turn.id,
    threadId: null,
    processedAt: null,
    body: eventBody(row, answer, verdict),
  }
  const decided: Decision = {
    session: {},
    approvals: [
      {
        id: row.id,
        patch: { status, decision: verdict, actor: answer.actor, verdictEventId: event.id, decidedAt: at },
      },
    ],
    events: [event],
    ...(verdict.remember &&
      row.rule && {
        grants: [
          {
            id: newId('grant'),
            sessionId: verdict.remember === 'session' ? session.id : null,
            agentId: session.agent.id,
            rule: row.rule,
            actor: answer.actor,
            createdAt: at,
          },
        ],
      }),
  }
  if (verdict.interrupt) {
    const after = { ...state, approvals: state.approvals.filter((open) => open.id !== row.id) }
    const stop = interruptDecision(after, newInterrupt('graceful', null, turn.id), at)
    return mergeDecisions(decided, stop)
  }
  return mergeDecisions(decided, goOn(state, turn, row, at))
}

/** Answers one approval, by its id alone. */
export async function decideApproval(
  context: SessionContext,
  approvalId: string,
  given: z.infer<typeof DecideApproval>,
  idempotency: Idempotency | null,
): Promise<ApprovalRow> {
  const known = await requireApproval(context, approvalId)
  const type = known.kind === 'tool_confirmation' ? 'user.tool_confirmation' : 'user.custom_tool_result'
  const answer = answerOf(type, approvalId, given)
  await changeSession(context, known.sessionId, async (state, at) => ({
    ...answerDecision(state, answer, await context.store.approvals.read(approvalId), at),
    ...(idempotency && { effect: { ...idempotency, result: JSON.stringify({ approval_id: approvalId }) } }),
  }))
  return requireApproval(context, approvalId)
}

/** Throws `approval_not_found`. */
export async function requireApproval(context: SessionContext, id: string): Promise<ApprovalRow> {
  const row = await context.store.approvals.read(id)
  if (!row) throw new ApiError('approval_not_found', `Approval ${id} does not exist.`)
  return row
}

/** At an approval's deadline: refuses the call, or ends its turn. Does nothing when it was answered meanwhile. */
export async function expireApproval(context: SessionContext, row: ApprovalRow): Promise<void> {
  await changeSession(context, row.sessionId, (state, at) => {
    const open = state.approvals.find((one) => one.id === row.id && one.status === 'pending')
    const turn = state.openTurns.find((one) => one.id === row.turnId)
    if (!open || !turn) return null
    const seconds = Math.round((at - open.createdAt) / 1000)
    const message = `Nobody answered within ${seconds} s, so the call was refused.`
    const decision: Verdict = { ...EMPTY_VERDICT, result: 'deny', deny_message: message }
    const closed: Decision = {
      session: {},
      approvals: [{ id: row.id, patch: { status: 'expired', decision, decidedAt: at } }],
      events: [
        { ...inputlessEvent(turn.id, at), body: { tool_use_id: row.id, reason: 'expired', on_timeout: row.onTimeout } },
      ],
    }
    if (row.onTimeout !== 'interrupt') return mergeDecisions(closed, goOn(state, turn, open, at))
    const after = { ...state, approvals: state.approvals.filter((one) => one.id !== row.id) }
    return mergeDecisions(closed, interruptDecision(after, newInterrupt('graceful', null, turn.id), at))
  })
}

const inputlessEvent = (turnId: string, at: number) => ({
  id: newId('sevt'),
  type: 'session.approval_closed',
  turnId,
  threadId: null,
  processedAt: at,
})

const EMPTY_VERDICT: Verdict = {
  result: 'deny',
  deny_message: null,
  updated_input: null,
  remember: null,
  interrupt: false,
  answers: null,
  content: null,
  is_error: false,
}

function verdictOf(row: ApprovalRow, { given, type }: Answer): Verdict {
  const wrong = (detail: string) => new ApiError('validation_failed', `${row.id}: ${detail}`)
  const allow = given.result === 'allow'
  if (given.remember && (row.rule === null || !allow))
    throw wrong(allow ? `a ${row.kind} cannot be remembered.` : 'only "allow" can be remembered.')
  if (given.interrupt && allow) throw wrong('interrupt goes with result "deny".')
  if (given.updated_input && (row.kind !== 'tool_confirmation' || !allow))
    throw wrong('updated_input goes with result "allow" of a tool confirmation.')
  if (type === 'user.tool_confirmation' && row.kind !== 'tool_confirmation' && allow)
    throw wrong(`it is a ${row.kind}; answer it with user.custom_tool_result.`)
  if (type === 'user.custom_tool_result' && row.kind === 'tool_confirmation')
    throw wrong('it is a tool confirmation; answer it with user.tool_confirmation.')
  return {
    result: given.result,
    deny_message: given.deny_message ?? null,
    updated_input: given.updated_input ?? null,
    remember: given.remember ?? null,
    interrupt: given.interrupt ?? false,
    answers: row.kind === 'question' && allow ? answersOf(row, given) : null,
    content: row.kind === 'custom_tool_result' && allow ? blocksOf(given.content ?? []) : null,
    is_error: given.is_error ?? false,
  }
}

const blocksOf = (content: string | { type: string }[]): { type: string; [field: string]: unknown }[] =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : content

/** Answers by question. A client that knows only results of tools sends text: JSON with the answers, or one answer for all. */
function answersOf(row: ApprovalRow, given: Answer['given']): NonNullable<Verdict['answers']> {
  if (given.answers) return given.answers
  const text = blocksOf(given.content ?? [])
    .map((block) => (typeof block.text === 'string' ? block.text : ''))
    .join('\n')
    .trim()
  const parsed = parseObject(text)
  if (parsed) {
    const named = Answers.safeParse('answers' in parsed ? parsed.answers : parsed)
    if (!named.success)
      throw new ApiError('validation_failed', `${row.id}: answers are text, or lists of text, by question.`)
    return named.data
  }
  if (text === '')
    throw new ApiError(
      'validation_failed',
      `${row.id}: a question needs answers: {"answers": {"<question>": "<label or text>"}}.`,
    )
  const { questions } = row.input as { questions?: { question?: unknown }[] }
  const asked = (questions ?? []).map(({ question }) => String(question))
  return Object.fromEntries((asked.length > 0 ? asked : ['']).map((question) => [question, text]))
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

function eventBody(row: ApprovalRow, answer: Answer, verdict: Verdict): Record<string, unknown> {
  const { result, deny_message, updated_input, remember, interrupt, answers, content, is_error } = verdict
  const actor = answer.actor === null ? {} : { actor: answer.actor }
  if (answer.type === 'user.custom_tool_result')
    return {
      custom_tool_use_id: row.id,
      content: content ?? (answers ? [{ type: 'text', text: JSON.stringify({ answers }) }] : []),
      is_error: is_error || result === 'deny',
      ...(result === 'deny' && { deny_message }),
      ...actor,
    }
  return {
    tool_use_id: row.id,
    result,
    deny_message,
    ...(updated_input && { updated_input }),
    ...(remember && { remember }),
    ...(interrupt && { interrupt }),
    ...actor,
  }
}
