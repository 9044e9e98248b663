import type { SessionRow } from '../store/session-row.ts'

/** What of a session's options the process does not know of: it may change under a live one. */
const NOT_OF_THE_PROCESS = new Set([
  'approvals',
  'rules',
  'recovery',
  'source',
  'turnTimeoutSeconds',
  'snapshots',
  'forkedFrom',
  'retention',
  'deploymentId',
  'setUp',
  'worktree',
  'worktreeFrom',
])

/**
 * What an agent process was started with and cannot change any more, as a text to compare: of what it does not name
 * everything counts, so that an option of tomorrow is not forgotten. Names of the agent do not: two that differ in
 * nothing else are started alike. `place` stands for the workdir, where it is one made for the session.
 */
export function startedAs(
  { workspaceId, agent, options, cwd }: Pick<SessionRow, 'workspaceId' | 'agent' | 'options' | 'cwd'>,
  place: string = cwd,
): string {
  const { id: _id, version: _version, name: _name, description: _description, ...definition } = agent
  const fixed = Object.entries(options).filter(([name, value]) => !NOT_OF_THE_PROCESS.has(name) && value !== undefined)
  return JSON.stringify([workspaceId, definition, fixed.toSorted(([a], [b]) => (a < b ? -1 : 1)), place])
}
