import { newId } from '@troupe/protocol/ids'
import type { KeyRow } from '../../src/store/keys.ts'
import { resolveAgent } from '../../src/agents/resolve-agent.ts'
import type { NewEvent } from '../../src/store/events.ts'
import { NO_USAGE } from '../../src/store/usage.ts'
import type { SessionChange } from '../../src/store/session-change.ts'
import type { SessionRow } from '../../src/store/session-row.ts'
import type { ThreadRow } from '../../src/store/threads.ts'
import type { TurnRow } from '../../src/store/turns.ts'

/** A session as it is before its first change. */
export function sessionRow(fields: Partial<SessionRow> = {}): SessionRow {
  const at = fields.createdAt ?? 1_000
  return {
    id: newId('sesn'),
    status: 'idle',
    version: 0,
    lastSeq: 0,
    epoch: 0,
    holder: null,
    leaseUntil: null,
    queuedAt: null,
    priority: 0,
    principal: 'local',
    workspaceId: 'wrkspc_default',
    concurrencyKey: null,
    maxQueueMs: null,
    currentTurnId: null,
    lastTurnStatus: null,
    turnCount: 0,
    messageCount: 0,
    agent: resolveAgent(undefined, null),
    options: { env: {}, maxTurns: null, ownWorkdir: true, source: 'native', modelSource: 'demo' },
    cwd: '/tmp',
    title: null,
    metadata: {},
    externalId: null,
    prompt: '',
    stopReason: null,
    lastError: null,
    result: null,
    originResult: null,
    usage: NO_USAGE,
    sdkTotals: {},
    cachePrefix: null,
    context: null,
    activeMs: 0,
    startedAt: null,
    endedAt: null,
    createdAt: at,
    updatedAt: at,
    archivedAt: null,
    ...fields,
  }
}

export function threadRow(sessionId: string, fields: Partial<ThreadRow> = {}): ThreadRow {
  return {
    id: newId('sthr'),
    sessionId,
    parentId: null,
    turnId: 'turn_1',
    toolUseId: null,
    taskId: 'task',
    agentName: 'general-purpose',
    description: 'Look',
    model: null,
    background: false,
    status: 'running',
    stopReason: null,
    summary: null,
    usage: null,
    activeMs: 0,
    runningSince: 1_000,
    createdAt: 1_000,
    updatedAt: 1_000,
    archivedAt: null,
    ...fields,
  }
}

export function turnRow(sessionId: string, fields: Partial<TurnRow> = {}): TurnRow {
  return {
    id: newId('turn'),
    sessionId,
    number: 1,
    status: 'queued',
    inputEventIds: [],
    output: null,
    stopReason: null,
    error: null,
    usage: null,
    cache: null,
    modelRequests: null,
    createdAt: 1_000,
    startedAt: null,
    endedAt: null,
    position: fields.number ?? 1,
    activeMs: 0,
    runningSince: null,
    resume: null,
    recoveries: [],
    ...fields,
  }
}

export function event(type = 'agent.message', fields: Partial<NewEvent> = {}): NewEvent {
  return { id: newId('sevt'), type, turnId: null, threadId: null, processedAt: 1_000, body: {}, ...fields }
}

export function change(sessionId: string, fields: Partial<SessionChange> = {}): SessionChange {
  return { sessionId, at: 2_000, ...fields }
}

/** A key that is good, with a secret of its own. */
export function keyRow(fields: Partial<KeyRow> = {}): KeyRow {
  const id = newId('apikey')
  return {
    id,
    workspaceId: 'wrkspc_default',
    name: 'Key',
    prefix: 'sk_troupe_x',
    hash: id,
    previousHash: null,
    previousUntil: null,
    scopes: ['sessions:write'],
    policy: {},
    createdBy: null,
    createdAt: 1_000,
    updatedAt: 1_000,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
    ...fields,
  }
}
