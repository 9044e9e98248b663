import { createHash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { mkdir, open, readdir, readlink, rm, stat } from 'node:fs/promises'
import { once } from 'node:events'
import { join } from 'node:path'
import { at, NotAFolder, type Owner, standsAt } from '../lib/folder.ts'
import { exitOf, type Git } from './git.ts'
import { MAX_KEPT_BYTES, NoSnapshot, type SnapshotLimits } from './limits.ts'
import { manifestOf } from './manifest.ts'
import { scan, type ScannedFile } from './scan.ts'
import { type KnownFile, lastingStamp, readStamps, writeStamps } from './stamp-cache.ts'

/** A snapshot as it was taken. */
export interface Taken {
  /** Null: there was nothing in the workdir, and never had been. */
  commit: string | null
  files: number
  bytes: number
}

const REF = 'refs/heads/snapshots'

/**
 * Takes a snapshot of `workdir` on top of `parent`; reads only files that changed since. A commit is there whole or not
 * at all: git names it after everything it needs is written. Where nothing changed it is the parent. Throws
 * `NoSnapshot`. One at a time per `gitDir`.
 */
export async function takeSnapshot(
  git: Git,
  gitDir: string,
  workdir: string,
  parent: string | null,
  limits: SnapshotLimits,
  signal: AbortSignal,
  owner: Owner | null = null,
): Promise<Taken> {
  const lookedAt = Date.now()
  const found = await scan(workdir, limits, signal, false, owner)
  const bytes = [...found.files.values()].reduce((sum, { size }) => sum + size, 0)
  const taken = { files: found.files.size, bytes }
  if (found.files.size === 0 && found.dirs.size === 0 && parent === null) return { ...taken, commit: null }
  if (!(await stat(join(gitDir, 'HEAD')).catch(() => null))) await makeRepository(git, gitDir)
  const known = await readStamps(gitDir, parent)
  const stream = new ImportStream(git, gitDir, signal)
  try {
    const files = new Map<string, KnownFile>()
    const changed: string[] = []
    for (const [path, file] of found.files) {
      if (signal.aborted) throw new NoSnapshot('too_slow', 'The snapshot took too long.')
      const before = known?.files.get(path)
      if (before && before.stamp === file.stamp) {
        files.set(path, before)
        continue
      }
      const content = await readContent(workdir, path, file, owner)
      // Gone, or no file any more, since it was looked at.
      if (!content) continue
      const { oid, data, size } = content
      files.set(path, {
        kind: file.kind,
        mode: file.mode,
        oid,
        size,
        large: data === null,
        stamp: lastingStamp(file, lookedAt),
      })
      if (before?.oid === oid && before.mode === file.mode && before.kind === file.kind) continue
      if (data === null) {
        if (before && !before.large) changed.push(`D ${quoted(`files/${path}`)}\n`)
        continue
      }
      if (before?.oid !== oid) await stream.blob(oid, data)
      changed.push(`M ${gitMode(file)} ${stream.named(oid)} ${quoted(`files/${path}`)}\n`)
    }
    const gone = [...(known?.files ?? [])].filter(([path, { large }]) => !large && !files.has(path))
    // First what goes: a file may stand where a folder was.
    const changes = [...gone.map(([path]) => `D ${quoted(`files/${path}`)}\n`), ...changed]
    const manifest = JSON.stringify(manifestOf(files, found))
    const manifestOid = oidOf(Buffer.from(manifest))
    const same = known !== null && parent !== null && changes.length === 0
    if (same && (await oidAt(git, gitDir, parent)) === manifestOid) {
      await stream.abandon()
      await writeStamps(gitDir, { commit: parent, files })
      return { ...taken, commit: parent }
    }
    const commit = await stream.commit(parent, known === null, changes, manifest)
    await writeStamps(gitDir, { commit, files })
    return { ...taken, commit }
  } catch (error) {
    await stream.abandon()
    throw error instanceof NoSnapshot ? error : new NoSnapshot('failed', 'The snapshot could not be taken.', error)
  }
}

async function makeRepository(git: Git, gitDir: string): Promise<void> {
  await mkdir(gitDir, { recursive: true, mode: 0o700 })
  await git.run(gitDir, ['init', '--quiet', '--bare', '--template=', '--initial-branch=snapshots'])
}

async function oidAt(git: Git, gitDir: string, commit: string): Promise<string> {
  const { output } = await git.run(gitDir, ['rev-parse', '--verify', `${commit}:manifest`])
  return output.toString().trim()
}

const gitMode = ({ kind, mode }: Pick<ScannedFile, 'kind' | 'mode'>): string =>
  kind === 'link' ? '120000' : mode & 0o100 ? '100755' : '100644'

/** As git's own quoting has it: any name is one line. */
function quoted(path: string): string {
  return `"${path.replaceAll(/["\\\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`))}"`
}

const header = (size: number) => `blob ${size}\0`
const oidOf = (data: Buffer) => createHash('sha1').update(header(data.length)).update(data).digest('hex')

/** What stands in a file or link now. Null: it is not there any more. Of a large one no data, and only if it holds still. */
async function readContent(
  workdir: string,
  relative: string,
  file: ScannedFile,
  owner: Owner | null,
): Promise<{ oid: string; data: Buffer | null; size: number } | null> {
  const path = join(workdir, relative)
  try {
    if (file.kind === 'link') {
      const data = await at(workdir, relative, owner, (link) => readlink(link, { encoding: 'buffer' }))
      return { oid: oidOf(data), data, size: data.length }
    }
    // Not through a link, and never waiting for a pipe that has taken its place.
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const now: Stats = await handle.stat()
      if (!now.isFile()) return null
      if (owner && !(await standsAt(handle, path))) return null
      if (owner && !owner.mayRead(now)) throw Object.assign(new Error(path), { code: 'EACCES' })
      if (now.size <= MAX_KEPT_BYTES) {
        const data = await handle.readFile()
        if (data.length <= MAX_KEPT_BYTES) return { oid: oidOf(data), data, size: data.length }
      }
      const hash = createHash('sha1').update(header(now.size))
      for await (const chunk of handle.createReadStream({ autoClose: false, end: Math.max(0, now.size - 1) }))
        hash.update(chunk as Buffer)
      return { oid: hash.digest('hex'), data: null, size: now.size }
    } finally {
      await handle.close()
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (error instanceof NotAFolder || code === 'ENOENT' || code === 'ELOOP' || code === 'ENXIO' || code === 'ENOTDIR')
      return null
    throw new NoSnapshot('failed', `${path} cannot be read (${code}).`, error)
  }
}

/** One run of `git fast-import`, started when there is something to give it. */
class ImportStream {
  readonly #git: Git
  readonly #gitDir: string
  readonly #signal: AbortSignal
  #child: ReturnType<Git['start']> | null = null
  #exit: Promise<void> = Promise.resolve()
  readonly #marks = new Map<string, number>()
  readonly #kill = () => this.#child?.kill('SIGKILL')

  constructor(git: Git, gitDir: string, signal: AbortSignal) {
    this.#git = git
    this.#gitDir = gitDir
    this.#signal = signal
    signal.addEventListener('abort', this.#kill)
  }

  async blob(oid: string, data: Buffer): Promise<void> {
    if (this.#marks.has(oid)) return
    this.#marks.set(oid, this.#marks.size + 1)
    await this.#write(`blob\nmark :${this.#marks.size}\ndata ${data.length}\n`)
    await this.#write(data)
    await this.#write('\n')
  }

  /** How a change names a content: new ones by mark, known ones by themselves. */
  named(oid: string): string {
    const mark = this.#marks.get(oid)
    return mark === undefined ? oid : `:${mark}`
  }

  async commit(parent: string | null, anew: boolean, changes: string[], manifest: string): Promise<string> {
    const mark = this.#marks.size + 1
    await this.#write(
      `commit ${REF}\nmark :${mark}\ncommitter troupe <troupe> ${Math.floor(Date.now() / 1000)} +0000\ndata 0\n` +
        `${parent === null ? '' : `from ${parent}\n`}${anew ? 'deleteall\n' : ''}`,
    )
    for (let at = 0; at < changes.length; at += 500) await this.#write(changes.slice(at, at + 500).join(''))
    await this.#write(`M 100644 inline manifest\ndata ${Buffer.byteLength(manifest)}\n${manifest}\n`)
    await this.#write(`\nget-mark :${mark}\ndone\n`)
    const child = this.#child!
    child.stdin.end()
    let answer = ''
    for await (const chunk of child.stdout.setEncoding('utf8') as AsyncIterable<string>) answer += chunk
    await this.#exit
    this.#signal.removeEventListener('abort', this.#kill)
    const commit = /^[0-9a-f]{40}$/m.exec(answer)?.[0]
    if (commit === undefined) throw new NoSnapshot('failed', `git fast-import answered ${JSON.stringify(answer)}`)
    return commit
  }

  /** Ends it without a commit, if it runs, and removes what it had begun. */
  async abandon(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#kill)
    if (!this.#child) return
    this.#child.kill('SIGKILL')
    await this.#exit.catch(() => undefined)
    await sweepBegun(this.#gitDir)
  }

  async #write(data: string | Buffer): Promise<void> {
    const child = (this.#child ??= await this.#start())
    if (child.stdin.write(data)) return
    await Promise.race([once(child.stdin, 'drain'), this.#exit])
  }

  async #start() {
    await sweepBegun(this.#gitDir)
    const child = this.#git.start(this.#gitDir, ['fast-import', '--quiet', '--done', '--force'])
    this.#exit = exitOf(child, 'fast-import')
    return child
  }
}

/** Removes what a killed run had begun: nothing refers to it. */
async function sweepBegun(gitDir: string): Promise<void> {
  const pack = join(gitDir, 'objects', 'pack')
  for (const name of await readdir(pack).catch(() => []))
    if (name.startsWith('tmp_')) await rm(join(pack, name), { force: true })
  await rm(join(gitDir, `${REF}.lock`), { force: true })
}
