import { ApiError } from '@troupe/protocol/error'
import { execFile } from 'node:child_process'
import { realpath } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { AgentUser } from '../lib/agent-user.ts'
import { assertWorkdir } from './admission.ts'

/**
 * A workdir that a caller named, as it is kept: where agents run as another user, its real path, so that a link that is
 * put there later is not followed by the server. Throws `cwd_not_found` where it is not there or that user may not read
 * it, and `cwd_not_a_directory`.
 */
export async function reachableWorkdir(cwd: string, user: AgentUser | null): Promise<string> {
  await assertWorkdir(cwd)
  if (!user) return cwd
  const real = await realpath(cwd)
  const asked = ['-r', real, '-a', '-x', real]
  try {
    await promisify(execFile)('test', asked, { cwd: '/', ...user.processAs(user.gid) })
  } catch {
    throw new ApiError(
      'cwd_not_found',
      `cwd ${JSON.stringify(cwd)} cannot be read by ${user.name}, the user as which agents run here. Give it to that user, or leave cwd out for a fresh workdir.`,
    )
  }
  return real
}
