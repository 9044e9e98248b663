import { join } from 'node:path'
import { removeTreeSync } from '../lib/remove-tree.ts'

/**
 * Forgets what an agent wrote to its own disk and never told us. Our store has the transcript; an agent that was killed
 * before its first line came here has left a file under its session's id, and with it no agent begins anew under that
 * id (`Session ID … is already in use`, measured on 2.1.330).
 */
export function forgetLocalTranscript(configDir: string): void {
  removeTreeSync(join(configDir, 'projects'))
}
