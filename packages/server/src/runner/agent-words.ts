import type { AgentUser } from '../lib/agent-user.ts'
import { sessionPaths } from '../sessions/admission.ts'

/** Words before the command of a session's agent: as whom it runs. Without a session, as at a probe, the user's own group. */
export function agentWords(user: AgentUser | null, sessionsDir: string, sessionId?: string): string[] {
  if (!user) return []
  return user.words(sessionId === undefined ? user.gid : user.groupOf(sessionPaths(sessionsDir, sessionId).root))
}
