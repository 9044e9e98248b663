import type { Checkout } from '@troupe/protocol/repository'
import { mkdir, lstat, readdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { giveMade, NotAFolder, openFolder } from '../lib/folder.ts'
import { forOthers, removeTree } from '../lib/remove-tree.ts'
import { type GitSettings, runGit } from './run-git.ts'

/** Milliseconds that a clone may take. */
const MAX_CLONE_MS = 10 * 60_000
/** Bytes that are fetched, and bytes and files that a checkout makes, at most. */
export const MAX_FETCHED = 2 * 2 ** 30
export const MAX_CHECKED_OUT = { bytes: 5 * 2 ** 30, files: 300_000 }
/** How often it is looked how much has come, in ms. */
const LOOK_MS = 500

export interface Clone {
  /** Names what is half made, so that it is found again. */
  id: string
  url: string
  token: string | null
  checkout: Checkout | null
  /** Relative to the workdir, checked. */
  parts: readonly string[]
}

export interface CloneLimits {
  fetched: number
  bytes: number
  files: number
  ms: number
}
const LIMITS: CloneLimits = { fetched: MAX_FETCHED, ...MAX_CHECKED_OUT, ms: MAX_CLONE_MS }

/** The words of the hosted API. */
export type RepositoryErrorType =
  | 'repository_authentication_error'
  | 'repository_forbidden_error'
  | 'repository_not_found_error'
  | 'repository_checkout_error'
  | 'repository_clone_error'

/** Why there is no repository. Its message is for the session's log. */
export class RepositoryProblem extends Error {
  override readonly name = 'RepositoryProblem'
  readonly type: RepositoryErrorType
  readonly resourceId: string
  constructor(type: RepositoryErrorType, { id, url }: Pick<Clone, 'id' | 'url'>, why: string) {
    super(`Repository ${url}: ${why}`)
    this.type = type
    this.resourceId = id
  }
}

/**
 * Clones a repository to its place in the workdir, unless something is there: whole or not at all. A server that dies
 * meanwhile leaves a part under a name of its own, which the next attempt removes. Throws `RepositoryProblem`.
 */
export async function cloneRepository(
  git: GitSettings,
  cwd: string,
  clone: Clone,
  ending: AbortSignal,
  limits: CloneLimits = LIMITS,
): Promise<boolean> {
  const name = clone.parts.at(-1)!
  try {
    await using folder = await openFolder(cwd, clone.parts.slice(0, -1), true, git.user)
    if (await isThere(folder.path(name))) return false
    const part = `.${clone.id}.part`
    // A git that outlived its server may still be writing into it.
    await removeTree(folder.path(part))
    await mkdir(folder.path(part), { mode: 0o700 })
    try {
      await using place = await openFolder(folder.path('.'), [part])
      if (git.user) await giveMade(place.handle, folder.handle, git.user)
      const group = (await folder.handle.stat()).gid
      // For git the paths of our open folders are those of this process.
      await fill(git, forOthers(place.path('.')), group, clone, ending, limits)
      await rename(folder.path(part), folder.path(name))
    } catch (error) {
      await removeTree(folder.path(part))
      throw error
    }
    await folder.handle.sync()
    return true
  } catch (error) {
    if (error instanceof NotAFolder)
      throw new RepositoryProblem(
        'repository_clone_error',
        clone,
        `something is in the way of ${clone.parts.join('/')}.`,
      )
    throw error
  }
}

async function fill(
  git: GitSettings,
  place: string,
  group: number,
  clone: Clone,
  ending: AbortSignal,
  limits: CloneLimits,
) {
  const { url, token, checkout } = clone
  const enough = new AbortController()
  const late = AbortSignal.timeout(limits.ms)
  const signal = AbortSignal.any([ending, late, enough.signal])
  const protocol = new URL(url).protocol.slice(0, -1)
  const credential = token === null ? null : { url, token }
  const packs = join(place, '.git', 'objects', 'pack')
  const timer = setInterval(() => {
    void sizeOf(packs).then((bytes) => bytes > limits.fetched && enough.abort())
  }, LOOK_MS)
  const run = async (args: string[], type: RepositoryErrorType | null, onOutput?: (piece: string) => void) => {
    const { code, stderr } = await runGit(git, {
      protocol,
      cwd: place,
      args,
      credential,
      signal,
      group,
      ...(onOutput && { onOutput }),
    })
    if (code === 0) return
    if (ending.aborted) throw new RepositoryProblem('repository_clone_error', clone, 'it was stopped.')
    if (late.aborted)
      throw new RepositoryProblem('repository_clone_error', clone, `it took longer than ${limits.ms / 1000} s.`)
    if (enough.signal.aborted) throw tooLarge(clone, limits)
    throw new RepositoryProblem(type ?? typeOf(stderr), clone, lastOf(stderr))
  }
  try {
    const branch = checkout?.type === 'branch' ? ['--branch', checkout.name] : []
    const plain = ['clone', '--quiet', '--no-checkout', '--no-recurse-submodules', '--no-hardlinks', '--template=']
    await run([...plain, ...branch, '--', url, '.'], null)
    if ((await sizeOf(packs)) > limits.fetched) throw tooLarge(clone, limits)
    const wanted = checkout?.type === 'commit' ? checkout.sha : 'HEAD'
    const known = () =>
      runGit(git, {
        protocol,
        cwd: place,
        args: ['cat-file', '-e', `${wanted}^{commit}`],
        credential: null,
        signal,
        group,
      })
    if ((await known()).code !== 0) {
      // An empty repository has nothing to check out; a commit that no branch has must be asked for.
      if (checkout === null) return
      await run(['fetch', '--quiet', '--no-tags', 'origin', wanted], 'repository_checkout_error')
    }
    await assertSmall(clone, limits, (onOutput) =>
      run(['ls-tree', '-r', '-l', '-z', wanted], 'repository_checkout_error', onOutput),
    )
    const take =
      checkout?.type === 'commit' ? ['checkout', '--quiet', '--detach', wanted, '--'] : ['reset', '--quiet', '--hard']
    await run(take, 'repository_checkout_error')
  } finally {
    clearInterval(timer)
  }
}

/** What little is fetched may be much once it is laid out. */
async function assertSmall(
  clone: Clone,
  limits: CloneLimits,
  list: (onOutput: (piece: string) => void) => Promise<void>,
): Promise<void> {
  let files = 0
  let bytes = 0
  let rest = ''
  await list((piece) => {
    const entries = (rest + piece).split('\0')
    rest = entries.pop()!
    for (const entry of entries) {
      files++
      bytes += Number(/^\d+ \w+ \w+ +(\d+)\t/.exec(entry)?.[1] ?? 0)
    }
  })
  if (files > limits.files || bytes > limits.bytes)
    throw new RepositoryProblem(
      'repository_checkout_error',
      clone,
      `it has ${files} files with ${bytes} bytes; at most ${limits.files} and ${limits.bytes} are checked out.`,
    )
}

const tooLarge = (clone: Clone, { fetched }: CloneLimits) =>
  new RepositoryProblem('repository_clone_error', clone, `it is larger than the ${fetched} bytes that are fetched.`)

function typeOf(stderr: string): RepositoryErrorType {
  if (/Authentication failed|could not read (Username|Password)|Access denied|terminal prompts disabled/i.test(stderr))
    return 'repository_authentication_error'
  if (/returned error: 403/.test(stderr)) return 'repository_forbidden_error'
  if (/Remote branch .* not found/i.test(stderr)) return 'repository_checkout_error'
  if (/returned error: 404|not found|does not (exist|appear to be)/i.test(stderr)) return 'repository_not_found_error'
  return 'repository_clone_error'
}

/** What git said last, without what it says of itself. */
const lastOf = (stderr: string): string => {
  const lines = stderr.split('\n').filter((line) => /^(fatal|error|remote):/.test(line))
  return (lines.at(-1) ?? stderr.split('\n').at(-1) ?? '').replace(/^\w+: /, '').slice(0, 300) || 'git failed.'
}

async function sizeOf(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => [])
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
