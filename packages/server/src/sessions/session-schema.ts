import type { SessionAgent } from '@troupe/protocol/agent'
import { ApiError } from '@troupe/protocol/error'
import type { OutputSchema } from '@troupe/protocol/output-schema'
import { checkOutputSchema } from '../agents/output-schema.ts'
import type { SessionState } from './change-session.ts'

/** The agent with the schema that a session names: absent keeps the agent's own, null takes it away. Throws `validation_failed`. */
export function withOutputSchema(agent: SessionAgent, given: OutputSchema | null | undefined): SessionAgent {
  if (given === undefined) return agent
  const { output_schema: _, ...rest } = agent
  return given === null ? rest : { ...rest, output_schema: checkOutputSchema(given) }
}

/** The agent of a session whose schema changes, or null when it stays as it is. Throws `session_running` unless nothing is open. */
export function changedSchema(
  { session, openTurns }: SessionState,
  given: OutputSchema | null | undefined,
): SessionAgent | null {
  const agent = withOutputSchema(session.agent, given)
  if (JSON.stringify(agent.output_schema) === JSON.stringify(session.agent.output_schema)) return null
  if (session.status === 'terminated')
    throw new ApiError('session_terminated', `Session ${session.id} is archived; its output_schema stays.`)
  if (session.status !== 'idle' || openTurns.length > 0)
    throw new ApiError(
      'session_running',
      `Session ${session.id} has work whose result fits the old output_schema; change it when it is idle.`,
    )
  return agent
}
