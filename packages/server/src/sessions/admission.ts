import type { PermissionMode } from '@troupe/protocol/agent'
import { ApiError, type FieldError } from '@troupe/protocol/error'
import { type ContentBlock, MAX_PROMPT_BYTES } from '@troupe/protocol/event'
import { stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { idToUuid } from '@troupe/protocol/ids'
import { refusedEnvName } from '../agents/env-policy.ts'
import type { SessionSettings } from './context.ts'

/** Checks that come before anything is written. Each throws an `ApiError` that says what was received and what to do. */

/** A model must answer, the agent binary be there, and the permission mode be one the binary accepts here. */
export function assertCanRun(settings: SessionSettings, mode: PermissionMode): void {
  if (settings.agentProblem) throw new ApiError('agent_unavailable', settings.agentProblem)
  if (settings.modelSource === 'none')
    throw new ApiError(
      'model_unreachable',
      'No model is configured: set ANTHROPIC_API_KEY (or another credential of Claude Code) and restart, or TROUPE_DEMO_MODEL=on for the demo model.',
    )
  if (mode === 'bypassPermissions' && settings.bypassProblem)
    throw new ApiError('permission_mode_refused', settings.bypassProblem)
}

export function assertEnv(env: Record<string, string>): void {
  const errors: FieldError[] = Object.keys(env).flatMap((name) => {
    const reason = refusedEnvName(name)
    return reason ? [{ pointer: `/env/${name}`, code: 'env_not_allowed', detail: `${name} ${reason}` }] : []
  })
  if (errors.length > 0)
    throw new ApiError('env_not_allowed', errors.map((error) => error.detail).join('; '), { errors })
}

/** Text of the input, for people and for the origin API. Throws `body_too_large` above the limit. */
export function promptText(content: ContentBlock[]): string {
  const text = content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n')
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_PROMPT_BYTES)
    throw new ApiError(
      'body_too_large',
      `The prompt has ${bytes} bytes; at most ${MAX_PROMPT_BYTES} are taken. Put long input into a file in the workdir.`,
    )
  return text
}

/** The workdir a caller named: absolute, there, and a directory. */
export async function assertWorkdir(cwd: string): Promise<void> {
  if (!isAbsolute(cwd) || cwd.includes('\0'))
    throw new ApiError('cwd_not_found', `cwd ${JSON.stringify(cwd)} is not an absolute path.`)
  const stats = await stat(cwd).catch(() => null)
  if (!stats)
    throw new ApiError(
      'cwd_not_found',
      `cwd ${JSON.stringify(cwd)} does not exist. Create it first, or leave cwd out for a fresh workdir.`,
    )
  if (!stats.isDirectory()) throw new ApiError('cwd_not_a_directory', `cwd ${JSON.stringify(cwd)} is not a directory.`)
}

/** The folders of a session: everything the server makes for it on disk. */
export function sessionPaths(sessionsDir: string, sessionId: string) {
  const root = join(sessionsDir, idToUuid(sessionId))
  return {
    root,
    workdir: join(root, 'workdir'),
    configDir: join(root, 'claude'),
    skills: join(root, 'skills'),
    home: join(root, 'home'),
  }
}
