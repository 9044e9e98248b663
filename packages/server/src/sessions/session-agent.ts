import type { SessionAgent, SessionAgentUpdate } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import { toolRules } from '../agents/agent-tools.ts'
import { mergeFields } from '../agents/merge-agent.ts'
import { type AgentLimits, sessionAgent } from '../agents/resolve-agent.ts'
import type { Multiagent } from '@troupe/protocol/multiagent'
import { isDeepStrictEqual } from 'node:util'
import type { SessionState } from './change-session.ts'

/**
 * A session's agent with the fields that are replaced, each whole; null when it stays as it is. The saved agent it came
 * from is not touched. Throws `session_running` unless nothing is open, `session_terminated`, and what defining an agent
 * throws.
 */
export function changedAgent(
  { session, openTurns }: SessionState,
  update: SessionAgentUpdate | undefined,
  limits: AgentLimits & { defaultModel: string | null },
): SessionAgent | null {
  if (update === undefined) return null
  const { type: _type, id, version, ...old } = session.agent
  // What only followed from the old toolsets goes with them.
  const derived = toolRules(old.tools)
  const kept = (tools: string[], from: readonly string[]) =>
    update.tools === undefined ? tools : tools.filter((tool) => !from.includes(tool))
  const multiagent = old.multiagent as Multiagent | null
  const definition = mergeFields(
    {
      ...old,
      multiagent,
      subagents: old.subagents ?? [],
      allowed_tools: kept(old.allowed_tools, derived.allowed),
      disallowed_tools: kept(old.disallowed_tools, derived.disabled),
      metadata: {},
    } as Parameters<typeof mergeFields>[0],
    update as Parameters<typeof mergeFields>[1],
    limits,
  )
  const agent = sessionAgent(definition, id, version, limits.defaultModel)
  // As it is read back, without what is undefined.
  if (isDeepStrictEqual(JSON.parse(JSON.stringify(agent)), session.agent)) return null
  if (session.status === 'terminated')
    throw new ApiError('session_terminated', `Session ${session.id} is archived; its agent stays.`)
  if (session.status !== 'idle' || openTurns.length > 0)
    throw new ApiError('session_running', `Session ${session.id} has work; change its agent when it is idle.`)
  return agent
}
