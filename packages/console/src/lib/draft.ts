import type { NewSession } from '@troupe/client/requests'

/** What the form of a new session holds, as it was typed. */
export interface Draft {
  prompt: string
  model: string
  mode: string
  system: string
  maxTurns: string
  cwd: string
  allowed: string
  disallowed: string
  resume: string
  /** A saved agent, instead of what the form says of one. */
  agentId: string
  /** Empty: the one that sessions have which name none. */
  environmentId: string
  /** Uploaded files that lie in `uploads/` when it begins. */
  files: readonly { id: string; filename: string }[]
}

export const EMPTY_DRAFT: Draft = {
  prompt: '',
  model: '',
  mode: 'default',
  system: '',
  maxTurns: '',
  cwd: '',
  allowed: '',
  disallowed: '',
  resume: '',
  agentId: '',
  environmentId: '',
  files: [],
}

/** Names between commas; a comma within brackets belongs to its tool: `Bash(git add a,b)`. */
export const namesIn = (list: string): string[] =>
  (list.match(/(?:\([^)]*\)|[^,(])+/g) ?? []).map((name) => name.trim()).filter(Boolean)

/** The body that creates the session of a draft; what was left empty is left out. */
export function bodyOf(draft: Draft): NewSession {
  const [allowed, disallowed] = [namesIn(draft.allowed), namesIn(draft.disallowed)]
  return {
    agent: draft.agentId || {
      type: 'inline',
      ...(draft.model.trim() && { model: draft.model.trim() }),
      ...(draft.system.trim() && { system: draft.system }),
      ...(draft.mode !== 'default' && { permission_mode: draft.mode as 'plan' }),
      ...(allowed.length > 0 && { allowed_tools: allowed }),
      ...(disallowed.length > 0 && { disallowed_tools: disallowed }),
    },
    ...(draft.files.length > 0 && {
      resources: draft.files.map(({ id, filename }) => ({
        type: 'file' as const,
        file_id: id,
        mount_path: `uploads/${filename}`,
      })),
    }),
    ...(draft.environmentId && { environment_id: draft.environmentId }),
    ...(draft.cwd.trim() && { cwd: draft.cwd.trim() }),
    ...(draft.maxTurns && { limits: { max_turns: Number(draft.maxTurns) } }),
    initial_events: [{ type: 'user.message', content: draft.prompt }],
  }
}
