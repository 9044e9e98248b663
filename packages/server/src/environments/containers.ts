import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Bound, containerBundle, type ContainerLimits, type ContainerProcess } from './container-bundle.ts'
import { removeControlGroups } from './control-groups.ts'

const run = promisify(execFile)

/** Milliseconds that a container may take to begin and end that does nothing. */
const PROBE_MS = 20_000
const DELETE_MS = 10_000
/** Where programs lie in an image. */
const IMAGE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** What of this machine the network needs that containers share. */
const NETWORK_FILES = ['/etc/resolv.conf', '/etc/hosts']
/** Variables that name a file of this machine by which the agent trusts others. */
const CERTIFICATES = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE']

/**
 * Lays a layer in memory over the image, in a mount namespace that ends with the container: there the runtime makes the
 * places where folders of this machine come in, and nothing of it is left behind.
 */
const SCRIPT = `set -e
cd "$1"
mount -t tmpfs -o mode=0711,size=16m tmpfs layers
mkdir layers/up layers/work layers/root
mount -t overlay overlay -o "lowerdir=$2,upperdir=layers/up,workdir=layers/work" layers/root
exec "$3" --root "$1/state" run --bundle "$1" "$4"
`

export interface ContainerOptions {
  /** A folder of the server's own, in which containers have theirs. */
  folder: string
  /** The program that runs them. */
  runtime: string
  /** Folders of root file systems by their names. */
  images: ReadonlyMap<string, string>
  searchPath: string | undefined
  /** Ties a program to the life of the server. Null: nothing here can for certain. */
  wrap: ((command: string, args: string[]) => { command: string; args: string[] }) | null
  user: { uid: number; gid: number } | null
}

/** A program that runs a container, and what takes away what it left. */
export interface PreparedContainer {
  command: string
  args: string[]
  env: Record<string, string>
  clean(): Promise<void>
}

/** Runs programs in containers of an OCI runtime (`runc`), each in one of its own. */
export class Containers {
  readonly #options: ContainerOptions
  readonly #works = new Set<string>()
  readonly #leaving = new Set<Promise<void>>()

  constructor(options: ContainerOptions) {
    this.#options = options
  }

  /** Null when containers of an image can be run here, else why not and what to do. Tried for real until it works. */
  async problem(image: string): Promise<string | null> {
    const { images, wrap, user, searchPath, runtime } = this.#options
    if (this.#works.has(image)) return null
    const root = images.get(image)
    if (root === undefined)
      return `There is no image ${JSON.stringify(image)}; there is ${[...images.keys()].join(', ') || 'none'}. The operator names them in container_images.`
    if (!existsSync(root))
      return `The folder of image ${JSON.stringify(image)} is not there; the operator names it in container_images.`
    if (user?.uid !== 0) return 'Containers need a server that is root on Linux.'
    if (!wrap) return 'Containers need PID namespaces, which this machine does not let the server make.'
    const probe = { args: ['/bin/sh', '-c', ':'], env: { PATH: IMAGE_PATH }, cwd: '/' }
    const { command, args, env, clean } = this.#prepare(root, probe, [], NO_LIMITS)
    const whole = wrap(command, args)
    try {
      await run(whole.command, whole.args, { env, cwd: '/', timeout: PROBE_MS })
      this.#works.add(image)
      return null
    } catch (error) {
      const { stderr, message } = error as Error & { stderr?: string }
      const why = (stderr || message).trim().split('\n').at(-1)
      const hint = `Is ${runtime} installed (apt-get install -y runc) and found in ${searchPath ?? 'no search path'}?`
      return `A container of image ${JSON.stringify(image)} cannot be run: ${JSON.stringify(why)}. ${hint}`
    } finally {
      await clean()
    }
  }

  /**
   * A container for one process. `own`: folders of its session, which it may write; `program`: files of this machine that
   * it runs, read-only. Throws where the image is gone, or the disk refuses.
   */
  prepare(
    image: string,
    work: ContainerProcess,
    { own, program }: { own: readonly string[]; program: readonly string[] },
    limits: ContainerLimits,
  ): PreparedContainer {
    const root = this.#options.images.get(image)
    if (root === undefined) throw new Error(`There is no image ${JSON.stringify(image)} any more.`)
    const certificates = CERTIFICATES.flatMap((name) => work.env[name] ?? [])
    const lent = [...program, ...NETWORK_FILES, ...certificates].filter(
      (path) => path.startsWith('/') && existsSync(path),
    )
    const bounds: Bound[] = [
      ...[...new Set(lent)].map((path) => ({ path, write: false })),
      ...[...new Set(own)].map((path) => ({ path, write: true })),
    ]
    return this.#prepare(root, { ...work, env: { ...work.env, PATH: IMAGE_PATH } }, bounds, limits)
  }

  /** Takes away what containers of a server that died left, before any is run. Never rejects. */
  async sweep(): Promise<void> {
    const { folder } = this.#options
    if (!existsSync(folder)) return
    for (const name of readdirSync(folder)) await this.#clean(name)
  }

  /** Resolves when nothing is being taken away any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#leaving)
  }

  #prepare(root: string, work: ContainerProcess, bounds: Bound[], limits: ContainerLimits): PreparedContainer {
    const { folder, runtime, searchPath, user } = this.#options
    const name = `troupe-${randomBytes(12).toString('hex')}`
    const place = join(folder, name)
    mkdirSync(join(place, 'layers'), { recursive: true, mode: 0o700 })
    const bundle = containerBundle(join(place, 'layers', 'root'), work, bounds, limits, user!)
    // It has the environment in it.
    writeFileSync(join(place, 'config.json'), JSON.stringify(bundle), { mode: 0o600 })
    const words = ['--mount', '--propagation', 'private', '--', '/bin/sh', '-c', SCRIPT, 'troupe-container']
    return {
      command: 'unshare',
      args: [...words, place, root, runtime, name],
      env: searchPath === undefined ? {} : { PATH: searchPath },
      clean: () => {
        const leaving = this.#clean(name)
          .catch(() => undefined)
          .finally(() => this.#leaving.delete(leaving))
        this.#leaving.add(leaving)
        return leaving
      },
    }
  }

  /** The runtime takes away what it made; of one that ended by itself there is nothing left. */
  async #clean(name: string): Promise<void> {
    const { folder, runtime, searchPath } = this.#options
    const place = join(folder, name)
    const state = join(place, 'state')
    if (existsSync(join(state, name))) {
      const env = searchPath === undefined ? {} : { PATH: searchPath }
      const words = ['--root', state, 'delete', '--force', name]
      await run(runtime, words, { env, cwd: '/', timeout: DELETE_MS }).catch(() => undefined)
    }
    await removeControlGroups(name)
    rmSync(place, { recursive: true, force: true })
  }
}

const NO_LIMITS: ContainerLimits = { memory_mb: null, cpus: null, pids: null }
