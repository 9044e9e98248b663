import type { AgentProcess } from './agent-process.ts'
import type { ContextFill } from '../store/session-row.ts'

/** What fills an agent's context; undefined where it does not say, or says what cannot be. Asks no model. */
export async function contextFill(agent: AgentProcess, now: () => number): Promise<ContextFill | undefined> {
  const said = await agent.context()
  if (!said || !(said.maxTokens > 0) || !(said.totalTokens >= 0) || !Array.isArray(said.categories)) return undefined
  return {
    tokens: Math.round(said.totalTokens),
    maxTokens: said.maxTokens,
    model: said.model,
    at: now(),
    categories: said.categories.map(({ id, name, tokens, kind }) => ({
      id: id ?? name,
      name,
      tokens: Math.round(tokens),
      kind,
    })),
  }
}
