import { sessionVariables } from '../sessions/session-environment.ts'
import type { SessionOptions } from '../store/session-options.ts'

/** Variables by which an agent reaches its model, or that are about itself: commands beside it have no use for them. */
const OF_THE_AGENT = /^_?(ANTHROPIC|AWS|GOOGLE|GCLOUD|VERTEX|AZURE|CLOUD_ML|CLAUDE)_/

/**
 * The environment of a command that the server runs for a session: that of its agent, without what the server added for
 * the agent alone. What environment and request set stays.
 */
export function commandEnv(
  agent: Record<string, string>,
  options: Pick<SessionOptions, 'env' | 'environment'>,
): Record<string, string> {
  const own = sessionVariables(options)
  return Object.fromEntries(
    Object.entries(agent).filter(([name]) => !OF_THE_AGENT.test(name) || Object.hasOwn(own, name)),
  )
}
