import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { NoSnapshot } from './limits.ts'

/**
 * Nothing of the machine's or the user's configuration counts, and nothing in a workdir: attributes, filters and hooks
 * are never read, because git is only given contents and their names.
 */
const SETTINGS = [
  'core.quotePath=false',
  'core.protectNTFS=false',
  'core.protectHFS=false',
  'core.compression=1',
  'core.fsync=committed',
  'core.fsyncMethod=batch',
  'core.bigFileThreshold=1m',
  'core.hooksPath=/dev/null',
  'core.attributesFile=/dev/null',
  'gc.auto=0',
  'maintenance.auto=false',
]

/** Bytes of an answer of git that are read, at most. */
const MAX_OUTPUT = 64 * 2 ** 20
/** Milliseconds that one call may take. */
const MAX_MS = 60_000

/** Runs git on a shadow repository, with an environment of our own. */
export class Git {
  readonly #path: string | undefined

  /** `path`: the search path to find git on. */
  constructor(path: string | undefined) {
    this.#path = path
  }

  start(gitDir: string, args: string[]): ChildProcessWithoutNullStreams {
    return spawn('git', [...SETTINGS.flatMap((setting) => ['-c', setting]), ...args], {
      cwd: '/',
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        PATH: this.#path,
        HOME: '/nonexistent',
        LC_ALL: 'C',
        GIT_DIR: gitDir,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_ATTR_NOSYSTEM: '1',
        GIT_NO_REPLACE_OBJECTS: '1',
        GIT_TERMINAL_PROMPT: '0',
      },
    })
  }

  /**
   * What git answers, whole, or its first `max` bytes: then it is stopped and `cut` says so. Throws `NoSnapshot` where
   * git is missing, takes too long or fails.
   */
  async run(
    gitDir: string,
    args: string[],
    { input = '', max = MAX_OUTPUT, signal }: { input?: string; max?: number; signal?: AbortSignal } = {},
  ): Promise<{ output: Buffer; cut: boolean }> {
    const child = this.start(gitDir, args)
    const exit = exitOf(child, args[0]!)
    const patience = setTimeout(() => child.kill('SIGKILL'), MAX_MS)
    const stop = () => child.kill('SIGKILL')
    signal?.addEventListener('abort', stop)
    try {
      child.stdin.end(input)
      const chunks: Buffer[] = []
      let size = 0
      let cut = false
      for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
        if (size + chunk.length <= max) chunks.push(chunk)
        else {
          chunks.push(chunk.subarray(0, max - size))
          cut = true
          child.kill('SIGKILL')
          break
        }
        size += chunk.length
      }
      if (cut) await exit.catch(() => undefined)
      else await exit
      return { output: Buffer.concat(chunks), cut }
    } catch (error) {
      await exit
      throw error
    } finally {
      clearTimeout(patience)
      signal?.removeEventListener('abort', stop)
    }
  }
}

/** Resolves when git has ended well; rejects with `NoSnapshot` and its own words. Never unhandled. */
export function exitOf(child: ChildProcessWithoutNullStreams, command: string): Promise<void> {
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (words.length < 2_000) words += text
  })
  // A write to a git that has ended says nothing that its end does not say better.
  child.stdin.on('error', () => undefined)
  const exit = new Promise<void>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new NoSnapshot('git_missing', 'git is not installed on the machine of the server.', error)
          : new NoSnapshot('failed', `git ${command} could not be started.`, error),
      ),
    )
    child.once('close', (code, signal) =>
      code === 0
        ? resolve()
        : reject(new NoSnapshot(signal ? 'too_slow' : 'failed', `git ${command}: ${signal ?? code} ${words.trim()}`)),
    )
  })
  exit.catch(() => undefined)
  return exit
}
