import type { ImportSession } from '@troupe/protocol/branch'
import { DEFAULT_ENVIRONMENT_ID } from '@troupe/protocol/environment'
import { ApiError } from '@troupe/protocol/error'
import { newId, newUuid, uuidToId } from '@troupe/protocol/ids'
import { agentOfSession } from '../agents/agent-of-session.ts'
import { ExternalIdTaken } from '../store/errors.ts'
import type { NewEvent } from '../store/events.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { TurnRow } from '../store/turns.ts'
import { assertCanRun, assertEnv, assertWorkdir } from './admission.ts'
import type { Caller } from './caller.ts'
import { requireSession } from './change-session.ts'
import type { SessionContext } from './context.ts'
import { approvalSettings, emptySession, type Idempotency } from './create-session.ts'
import { withinPolicies } from './key-policy.ts'
import { makeWorkdir, removeFolders } from './session-folders.ts'
import { newEvent } from './new-event.ts'
import { type Entry, parseTranscript, type PastTurn, pastTurns } from './parse-transcript.ts'
import { transcriptRewriter } from './rewrite-transcript.ts'

/**
 * Makes a session of a native transcript, under the conversation's own id where that is free in this server. A
 * transcript that the session has already, or has gone on from, is that session (`converged`). Throws
 * `transcript_conflict` where somebody else has gone on with a conversation that is here, `validation_failed`.
 */
export async function importSession(
  context: SessionContext,
  caller: Caller,
  body: ImportSession,
  idempotency: Idempotency | null,
): Promise<{ session: SessionRow; converged: boolean }> {
  const { store, settings, clock } = context
  const { uuid, entries } = parseTranscript(body.transcript)
  const there = await existing(context, caller, uuidToId('sesn', uuid), entries)
  if (there.session) return { session: there.session, converged: true }
  const wanted = {
    agent: await agentOfSession(store, caller.workspaceId, body.agent, settings),
    cwd: body.cwd ?? null,
    env: body.env ?? {},
    environmentId: DEFAULT_ENVIRONMENT_ID,
    maxTurns: null,
    budgetCents: null,
  }
  const { agent, maxTurns, budgetCents } = await withinPolicies(caller.policies, wanted, settings.defaultModel)
  assertCanRun(settings, agent.permission_mode)
  assertEnv(body.env ?? {})
  // Its own name, unless that is somebody else's or was given away before.
  const ownUuid = there.free ? uuid : newUuid()
  const id = uuidToId('sesn', ownUuid)
  const named = body.cwd ?? settings.defaultCwd
  if (named !== null) await assertWorkdir(named)
  const cwd = named ?? (await makeWorkdir(settings.sessionsDir, id, {}))
  const at = clock.now()
  const turns = pastTurns(entries, () => newId('sevt'))
  const request = {
    agent,
    cwd: named,
    env: body.env ?? {},
    maxTurns,
    budgetCents,
    inputs: [],
    title: body.title ?? null,
    metadata: body.metadata ?? {},
    externalId: null,
    source: 'native' as const,
    approvals: approvalSettings({}),
    recovery: 'auto' as const,
    rules: [],
  }
  const options = {
    env: request.env,
    maxTurns,
    budgetCents,
    ownWorkdir: named === null,
    source: request.source,
    approvals: request.approvals,
    recovery: request.recovery,
    rules: request.rules,
    modelSource: settings.modelSource === 'demo' ? ('demo' as const) : ('configured' as const),
  }
  const row = emptySession(id, caller, request, cwd, options, at)
  const history = turns.map((turn, index) => historyOf(id, turn, index + 1, at))
  const last = history.at(-1)?.turn
  const rewrite = transcriptRewriter([[uuid, ownUuid]])
  const made: SessionRow = {
    ...row,
    turnCount: turns.length,
    prompt: turns[0]?.text.slice(0, 10_000) ?? '',
    lastTurnStatus: last ? 'completed' : null,
    stopReason: last?.stopReason ?? null,
    result: last ? { turn_id: last.id, text: last.output?.text ?? null, structured: null, is_error: false } : null,
  }
  try {
    await store.branches.createImported(
      made,
      {
        sessionId: id,
        at,
        session: {},
        newTurns: history.map(({ turn }) => turn),
        events: [
          newEvent('session.created', null, at, {
            agent_id: agent.id,
            model_source: options.modelSource,
            imported: { session_id: uuid, entries: entries.length },
          }),
          ...history.flatMap(({ events }) => events),
        ],
        ...(idempotency && { effect: { ...idempotency, result: JSON.stringify({ session_id: id }) } }),
      },
      entries.map((entry) => ({ uuid: entry.uuid, body: rewrite(entry.body) })),
    )
  } catch (error) {
    // Somebody else was quicker, and the folder is theirs: look again at what is there.
    if (error instanceof ExternalIdTaken) return importSession(context, caller, body, idempotency)
    if (named === null) await removeFolders(settings.sessionsDir, id)
    throw error
  }
  return { session: await requireSession(context, id), converged: false }
}

/** The session that has this conversation already; `free`: nobody has, or ever had, its id. */
async function existing(
  { store }: SessionContext,
  caller: Caller,
  id: string,
  entries: Entry[],
): Promise<{ session: SessionRow | null; free: boolean }> {
  const session = await store.readSession(id)
  if (!session) return { session: null, free: !(await store.isDeleted(id)) }
  // Of another workspace's not even its being there is told.
  if (session.workspaceId !== caller.workspaceId) return { session: null, free: false }
  const ours = new Set<string>()
  for (let after = 0; ;) {
    const page = await store.branches.transcriptPage(id, after, 1_000)
    const last = page.at(-1)
    if (!last) break
    for (const { uuid } of page) if (uuid !== null) ours.add(uuid)
    after = last.n
  }
  const foreign = entries.find(({ uuid }) => uuid !== null && !ours.has(uuid))
  if (!foreign) return { session, free: false }
  throw new ApiError(
    'transcript_conflict',
    `Session ${id} is here, and the transcript has entries that it does not have (first ${foreign.uuid}): somebody else has gone on with it. Two writers would spoil it; go on in one place, or delete the session and import again.`,
  )
}

function historyOf(sessionId: string, past: PastTurn, number: number, at: number) {
  const turn: TurnRow = {
    id: newId('turn'),
    sessionId,
    number,
    status: 'completed',
    inputEventIds: [past.inputId],
    output: past.answer === null ? null : { text: past.answer, structured: null },
    stopReason: { type: 'end_turn' },
    error: null,
    usage: null,
    cache: null,
    modelRequests: null,
    createdAt: at,
    startedAt: at,
    endedAt: at,
    position: number,
    activeMs: 0,
    runningSince: null,
    resume: null,
    recoveries: [],
  }
  const own = (event: Omit<NewEvent, 'turnId' | 'processedAt'>): NewEvent => ({
    ...event,
    turnId: turn.id,
    processedAt: at,
  })
  const input = own({ id: past.inputId, type: 'user.message', threadId: null, body: { content: past.content } })
  const events = [
    input,
    newEvent('turn.started', turn.id, at, { number, input_event_ids: turn.inputEventIds }),
    ...past.events.map(own),
    newEvent('turn.completed', turn.id, at, {
      stop_reason: turn.stopReason,
      error: null,
      output: turn.output ?? { text: null, structured: null },
      usage: null,
      cache: null,
      model_requests: null,
    }),
  ]
  return { turn, events }
}
