import { constants, type Dirent } from 'node:fs'
import {
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import manifest from '../package.json' with { type: 'json' }
import { copyStore, moveWorkdirs } from './store/backup.ts'

/** What says that a folder is a whole backup; written last. */
const MANIFEST = 'backup.json'
const STORE = 'troupe.db'
/** Age at which a half-made backup is left over, in ms. */
const PARTIAL_MS = 24 * 3_600_000
/** Belongs to the process that holds the folder, or is copied as a whole by itself. */
const LEFT_OUT = new Set([
  STORE,
  `${STORE}-wal`,
  `${STORE}-shm`,
  'lock.db',
  'lock.json',
  'agents',
  'temporary',
  MANIFEST,
])

const BackupReport = z.object({
  folder: z.string(),
  data_dir: z.string().describe('Where the data lay when it was taken'),
  version: z.string(),
  schema: z.number(),
  sessions: z.number(),
  files: z.number(),
  created_at: z.string(),
})
export type BackupReport = z.infer<typeof BackupReport>

/** What keeps a backup from being made or used, in words for a person. */
export class BackupProblem extends Error {
  override readonly name = 'BackupProblem'
}

/**
 * Copies a data folder into a new one, while its server may be running: the store as it stands at one moment, then the
 * sessions' own folders as they are. Nothing bears the new name before it is whole. Throws `BackupProblem`.
 */
export async function backUp(dataDir: string, target: string, now: Date = new Date()): Promise<BackupReport> {
  if (!(await exists(join(dataDir, STORE)))) throw new BackupProblem(`There is no ${STORE} in ${dataDir}.`)
  if (`${await whereIs(target)}/`.startsWith(`${await whereIs(dataDir)}/`))
    throw new BackupProblem(`${target} lies inside of the data folder, and would be copied into itself.`)
  return built(target, async (folder) => {
    const copy = await copyStore(join(dataDir, STORE), join(folder, STORE))
    const files = await copyTree(dataDir, folder, (name) => !LEFT_OUT.has(name))
    const report = {
      folder: resolve(target),
      data_dir: resolve(dataDir),
      version: manifest.version,
      ...copy,
      files: files + 1,
      created_at: now.toISOString(),
    }
    await writeFile(join(folder, MANIFEST), `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 })
    return report
  })
}

/**
 * Makes a data folder from a backup. It must not be there yet: nothing is ever written over. What was at work when the
 * backup was taken is taken up, or said to be cut, when a server starts on it. Throws `BackupProblem`.
 */
export async function restore(source: string, dataDir: string): Promise<BackupReport> {
  const known = await readManifest(source)
  return built(dataDir, async (folder) => {
    const copy = await copyStore(join(source, STORE), join(folder, STORE))
    const files = await copyTree(source, folder, (name) => !LEFT_OUT.has(name))
    moveWorkdirs(join(folder, STORE), known.data_dir, resolve(dataDir))
    return { ...known, ...copy, folder: resolve(dataDir), files: files + 1 }
  })
}

async function readManifest(source: string): Promise<BackupReport> {
  try {
    return BackupReport.parse(JSON.parse(await readFile(join(source, MANIFEST), 'utf8')))
  } catch {
    throw new BackupProblem(`${source} is not a whole backup: there is no ${MANIFEST} that can be read in it.`)
  }
}

/** Builds a folder under another name beside it, and gives it its name when it is whole; what fails leaves nothing. */
async function built<T>(target: string, build: (folder: string) => Promise<T>): Promise<T> {
  if ((await exists(target)) && (await readdir(target).catch(() => ['.'])).length > 0)
    throw new BackupProblem(`${target} is there already; name a folder that is not, or move it away.`)
  let folder = ''
  try {
    await mkdir(dirname(resolve(target)), { recursive: true })
    await sweepPartial(resolve(target))
    folder = await mkdtemp(`${resolve(target)}.partial-`)
    const report = await build(folder)
    await rename(folder, target)
    return report
  } catch (error) {
    if (folder !== '') await rm(folder, { recursive: true, force: true })
    if (error instanceof BackupProblem) throw error
    throw new BackupProblem(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** What a backup to this place left that was killed: a day old, so nobody builds it any more. */
async function sweepPartial(target: string): Promise<void> {
  const folder = dirname(target)
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${basename(target)}.partial-`)) continue
    const { mtimeMs } = await lstat(join(folder, name)).catch(() => ({ mtimeMs: Infinity }))
    if (Date.now() - mtimeMs > PARTIAL_MS) await rm(join(folder, name), { recursive: true, force: true })
  }
}

/** Copies files, links as links, and folders; shares blocks where the file system can. What goes meanwhile is left out. */
async function copyTree(from: string, to: string, take: (name: string) => boolean = () => true): Promise<number> {
  let files = 0
  for (const entry of await readdir(from, { withFileTypes: true }).catch((error: unknown) => gone<Dirent[]>(error, [])))
    if (take(entry.name)) files += await copyEntry(entry, join(from, entry.name), join(to, entry.name))
  return files
}

async function copyEntry(entry: Dirent, from: string, to: string): Promise<number> {
  try {
    if (entry.isSymbolicLink()) await symlink(await readlink(from), to)
    else if (entry.isDirectory()) {
      const { mode, atime, mtime } = await lstat(from)
      await mkdir(to, { mode: mode | 0o700 })
      const files = await copyTree(from, to)
      await utimes(to, atime, mtime)
      return files
    } else if (entry.isFile()) {
      const { atime, mtime } = await lstat(from)
      await copyFile(from, to, constants.COPYFILE_FICLONE)
      await utimes(to, atime, mtime)
    } else return 0
    return 1
  } catch (error) {
    return gone(error, 0)
  }
}

function gone<T>(error: unknown, instead: T): T {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return instead
  throw error
}

/** A path behind all links, also one that is not there yet. */
async function whereIs(path: string): Promise<string> {
  const whole = resolve(path)
  const parent = dirname(whole)
  return realpath(whole).catch(async () => (parent === whole ? whole : join(await whereIs(parent), basename(whole))))
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )
