import { ApiError } from '@troupe/protocol/error'
import { MAX_FILES, MAX_FILES_BYTES } from '@troupe/protocol/file'
import { MAX_OUTPUT_BYTES, MAX_OUTPUTS, type OutputProblem } from '@troupe/protocol/output'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { NotAFolder, openFolder } from '../lib/folder.ts'
import type { FileRow } from '../store/files.ts'
import type { OutputRow, OutputsChange, OutputStore } from '../store/outputs.ts'
import { StorageUnavailable } from '../store/errors.ts'
import type { FileContext } from './context.ts'
import { drop, receive } from './keep-file.ts'
import { mimeTypeOf } from './mime-type.ts'
import { type Found, OUTPUTS, stampOf, walkOutputs } from './walk-outputs.ts'

/** What was left out that is told of and remembered, at most. */
const MAX_PROBLEMS = 100
/** A file that large that takes less than this part of its size on the disk is holes: a copy would fill it. */
const SPARSE_BYTES = 64 * 2 ** 20
const SPARSE_PART = 64
/** A stamp younger than this may stand for two contents: clocks of file systems have ticks. In ms. */
const RACY_MS = 2_000
const PIECE = 256 * 1024

export interface TurnPlace {
  workspaceId: string
  sessionId: string
  turnId: string
  cwd: string
}

/** What was found at the end of a turn. */
export interface Collected {
  change: OutputsChange
  /** What is left out and was not told of yet. */
  failed: { path: string; problem: OutputProblem }[]
}

/**
 * Copies what is new or another than before in `outputs/` of a workdir into the folder of files, where nobody owns it
 * until the change is committed. What cannot be kept is left out, with the reason. Null where nothing is to be written.
 * Never rejects for what lies there.
 */
export async function collectOutputs(
  context: FileContext,
  outputs: OutputStore,
  place: TurnPlace,
  signal: AbortSignal,
): Promise<Collected | null> {
  const walk = walkOutputs(place.cwd, signal, context.owner)
  // Most turns leave nothing, and then nothing else is asked.
  const first = await walk.next()
  if (first.done) return null
  const before = new Map((await outputs.known(place.sessionId)).map((row) => [row.path, row]))
  const room = await roomOf(context, outputs, place)
  const files: FileRow[] = []
  const known: OutputRow[] = []
  const problems = new Map<string, OutputRow>()
  const leaveOut = ({ path, stamp }: Pick<Found, 'path' | 'stamp'>, problem: OutputProblem) => {
    const at = problems.size >= MAX_PROBLEMS ? '' : path
    const told = { path: at, fileId: null, sha256: null, stamp, problem }
    if (at === path) problems.set(at, told)
    else problems.set('', { ...told, stamp: 'too_many_files', problem: 'too_many_files' })
  }
  for (let next: IteratorResult<Found, void> = first; !next.done; next = await walk.next()) {
    const found = next.value
    const { path, stamp, size } = found
    const row = before.get(path)
    if (row && row.problem === null && row.stamp === stamp) continue
    const problem = found.problem ?? problemOf(found, context.maxBytes) ?? room.problem(size)
    if (problem) {
      leaveOut(found, problem)
      continue
    }
    const kept = await keepOutput(context, place, found, row?.sha256 ?? null, signal)
    if (typeof kept === 'string') leaveOut(found, kept)
    else {
      if (kept.file) {
        files.push(kept.file)
        room.take(kept.file.sizeBytes)
      }
      const racy = context.clock.now() - found.changedAt < RACY_MS
      const fileId = kept.file?.id ?? row?.fileId ?? null
      known.push({ path, fileId, sha256: kept.sha256, stamp: racy ? null : stamp, problem: null })
    }
  }
  const failed = [...problems.values()].filter(({ path, stamp, problem }) => {
    const told = before.get(path)
    return told?.problem !== problem || told.stamp !== stamp
  })
  const over = [...before.values()].some(({ path, problem }) => problem !== null && !problems.has(path))
  if (known.length === 0 && failed.length === 0 && !over) return null
  return {
    change: { files, known, problems: [...problems.values()] },
    failed: failed.map(({ path, problem }) => ({ path, problem: problem as OutputProblem })),
  }
}

function problemOf({ size, taken }: Found, maxBytes: number): OutputProblem | null {
  if (size > maxBytes) return 'too_large'
  return size > SPARSE_BYTES && taken * SPARSE_PART < size ? 'sparse' : null
}

/** What session and workspace have room for. */
async function roomOf(context: FileContext, outputs: OutputStore, { sessionId, workspaceId }: TurnPlace) {
  const session = await outputs.totals(sessionId)
  const workspace = await context.store.totals(workspaceId)
  return {
    problem(size: number): OutputProblem | null {
      if (session.files >= MAX_OUTPUTS || session.bytes + size > MAX_OUTPUT_BYTES) return 'session_limit'
      const full = workspace.files >= MAX_FILES || workspace.bytes + size > MAX_FILES_BYTES
      return full ? 'workspace_limit' : null
    },
    take(size: number) {
      for (const sums of [session, workspace]) {
        sums.files++
        sums.bytes += size
      }
    },
  }
}

/** Reads a file into one that nobody owns yet; null where its content is known already, and the problem where it cannot. */
async function keepOutput(
  context: FileContext,
  { workspaceId, sessionId, turnId, cwd }: TurnPlace,
  { path, stamp, size }: Found,
  knownHash: string | null,
  signal: AbortSignal,
): Promise<{ file: FileRow | null; sha256: string } | OutputProblem> {
  const parts = path.split('/')
  const filename = parts.pop()!
  try {
    await using folder = await openFolder(cwd, [OUTPUTS, ...parts], false, context.owner)
    // Not blocked by a pipe that took its place, and not led on by a link.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    await using file = await open(folder.path(filename), flags)
    // What its agent may not read is read for nobody.
    if (context.owner && !context.owner.mayRead(await file.stat())) return 'unreadable'
    const same = async () => stampOf(await file.stat({ bigint: true })) === stamp
    if (!(await same())) return 'changing'
    const { sha256, ...received } = await receive(context, Readable.from(pieces(file, size, signal)))
    if (received.sizeBytes !== size || !(await same())) {
      await drop(context, received)
      return 'changing'
    }
    if (sha256 === knownHash) {
      await drop(context, received)
      return { file: null, sha256 }
    }
    const mimeType = mimeTypeOf(filename)
    const createdAt = context.clock.now()
    return { file: { ...received, workspaceId, filename, mimeType, createdAt, sessionId, turnId, path }, sha256 }
  } catch (error) {
    if (signal.aborted) return 'too_slow'
    if (error instanceof StorageUnavailable) return 'disk_full'
    if (error instanceof ApiError) return 'too_large'
    return error instanceof NotAFolder || (error as NodeJS.ErrnoException).code === 'ELOOP' ? 'link' : 'unreadable'
  }
}

async function* pieces(file: FileHandle, size: number, signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
  for (let at = 0; at < size;) {
    signal.throwIfAborted()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(PIECE, size - at)), 0, undefined, at)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}
