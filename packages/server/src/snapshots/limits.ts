/** What a snapshot may cost. */
export interface SnapshotLimits {
  /** Files, links and folders looked at. */
  entries: number
  /** Bytes of all files together. */
  bytes: number
}

/** Of workdirs that are the session's own, or where the caller asked for snapshots. */
export const LIMITS: SnapshotLimits = { entries: 50_000, bytes: 2 * 2 ** 30 }
/** Of a folder that the caller named without asking: a small one costs nothing that is felt. */
export const SMALL_LIMITS: SnapshotLimits = { entries: 5_000, bytes: 64 * 2 ** 20 }

/** Of workdirs that a fork copies, with all that is in them. */
export const COPY_LIMITS: SnapshotLimits = { entries: 500_000, bytes: 20 * 2 ** 30 }

/** Bytes of a file whose content is kept; of a larger one size and hash are. */
export const MAX_KEPT_BYTES = 32 * 2 ** 20

/** Milliseconds after which a snapshot is given up: the next turn waits for it. */
export const MAX_SNAPSHOT_MS = 30_000

/**
 * Folders and files with these names are never looked into, wherever they stand: a version control's own records, and
 * what an install brings back. They are copied by a fork and left alone by a rewind.
 */
export const LEFT_OUT: ReadonlySet<string> = new Set([
  '.git',
  '.hg',
  '.svn',
  '.jj',
  'node_modules',
  '__pycache__',
  '.venv',
])

/** Why there is no snapshot. */
export type SnapshotProblem =
  | 'git_missing'
  | 'too_many_files'
  | 'too_many_bytes'
  | 'too_slow'
  | 'workdir_missing'
  | 'failed'

/** A snapshot cannot be taken, or is not there. */
export class NoSnapshot extends Error {
  override readonly name = 'NoSnapshot'
  readonly problem: SnapshotProblem
  constructor(problem: SnapshotProblem, detail: string, cause?: unknown) {
    super(detail, cause === undefined ? undefined : { cause })
    this.problem = problem
  }
}
