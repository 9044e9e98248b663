import type { Decision, SessionState } from './change-session.ts'

/** Two decisions of one transaction, in their order; of two values for a field the second counts. */
export function mergeDecisions(first: Decision, second: Decision): Decision {
  const both = <
    K extends
      | 'newTurns'
      | 'turns'
      | 'newThreads'
      | 'threads'
      | 'events'
      | 'newApprovals'
      | 'approvals'
      | 'grants'
      | 'ledger'
      | 'newResources'
      | 'removedResources',
  >(
    key: K,
  ) => {
    const items = [...(first[key] ?? []), ...(second[key] ?? [])]
    return items.length > 0 ? { [key]: items } : {}
  }
  return {
    session: { ...first.session, ...second.session },
    ...both('newTurns'),
    ...both('turns'),
    ...both('newThreads'),
    ...both('threads'),
    ...both('events'),
    ...both('newApprovals'),
    ...both('approvals'),
    ...both('grants'),
    ...both('ledger'),
    ...both('newResources'),
    ...both('removedResources'),
    ...((second.outputs ?? first.outputs) !== undefined && { outputs: second.outputs ?? first.outputs! }),
    ...((second.queueLimit ?? first.queueLimit) !== undefined && {
      queueLimit: second.queueLimit ?? first.queueLimit!,
    }),
  }
}

/** The state as it will be after a decision, for the next decision of the same transaction. */
export function applyDecision(state: SessionState, decision: Decision): SessionState {
  const patches = new Map((decision.turns ?? []).map(({ id, patch }) => [id, patch]))
  const ended = new Set((decision.threads ?? []).map(({ id }) => id))
  const closed = new Set((decision.approvals ?? []).map(({ id }) => id))
  return {
    session: { ...state.session, ...decision.session },
    openTurns: [
      ...state.openTurns.map((turn) => ({ ...turn, ...patches.get(turn.id) })).filter((turn) => turn.endedAt === null),
      ...(decision.newTurns ?? []),
    ],
    approvals: state.approvals.filter((row) => !closed.has(row.id)),
    ...(state.takenInputs && { takenInputs: state.takenInputs }),
    ...(state.openThreads && { openThreads: state.openThreads.filter((row) => !ended.has(row.id)) }),
  }
}
