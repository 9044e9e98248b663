import type { GitSettings } from './run-git.ts'

/** With what and from where repositories are cloned. */
export interface RepositoryContext {
  git: GitSettings
  /** Addresses below which they may lie, each ending in `/`. */
  sources: readonly string[]
}
