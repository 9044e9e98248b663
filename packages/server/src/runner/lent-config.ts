import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs'
import type { AgentUser } from '../lib/agent-user.ts'
import { removeTreeSync } from '../lib/remove-tree.ts'
import { sessionPaths } from '../sessions/admission.ts'

type Env = Record<string, string | undefined>

/**
 * The config dirs of agents that run as another user. To resume, the SDK reads in this process what the config dir has
 * (settings, a login), follows links there, and copies it with the transcript into a folder of its own: as root it would
 * read whatever an agent linked. So it is shown a folder with nothing in it; what it makes is given to the agent, and
 * goes with the process.
 */
export class LentConfig {
  readonly #user: AgentUser
  readonly #sessionsDir: string
  readonly #nothing: string

  /** `nothing`: a folder that is made, and stays empty. */
  constructor(user: AgentUser, sessionsDir: string, nothing: string) {
    this.#user = user
    this.#sessionsDir = sessionsDir
    this.#nothing = nothing
    mkdirSync(nothing, { recursive: true, mode: 0o700 })
  }

  /** The environment that the SDK is told. What is mirrored it knows by the config dir, so only to resume another one. */
  shown(env: Record<string, string>, resume: boolean): Record<string, string> {
    return resume ? { ...env, CLAUDE_CONFIG_DIR: this.#nothing } : env
  }

  /** The environment that the process of a session gets, and what is to be done when it has ended. */
  given(env: Env, sessionId: string): { env: Env; ended: () => void } {
    const { root, configDir } = sessionPaths(this.#sessionsDir, sessionId)
    const made = env.CLAUDE_CONFIG_DIR
    if (made === undefined || made === this.#nothing || made === configDir)
      return { env: { ...env, CLAUDE_CONFIG_DIR: configDir }, ended: () => undefined }
    const group = this.#user.groupOf(root)
    if (lstatSync(made).uid === 0) {
      this.#user.give(made, group)
      // It lies where agents of other sessions look too, and they are the same user.
      chownSync(made, 0, group)
      chmodSync(made, 0o770)
    }
    return { env, ended: () => removeTreeSync(made) }
  }
}
