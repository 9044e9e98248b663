import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Bound, containerBundle, type ContainerLimits, type ContainerProcess } from './container-bundle.ts'
import { handOver } from './container-network.ts'
import { removeControlGroups } from './control-groups.ts'
import { tryContainer } from './try-container.ts'

const run = promisify(execFile)

const DELETE_MS = 10_000
/** Where programs lie in an image. */
const IMAGE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** What of this machine its network needs, and what names loopback. */
const NETWORK_FILES = ['/etc/resolv.conf']
const HOSTS_FILE = '/etc/hosts'
/** Variables that name a file of this machine by which the agent trusts others. */
const CERTIFICATES = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE']

/**
 * Lays a layer in memory over the image, in a mount namespace that ends with the container: there the runtime makes the
 * places where folders of this machine come in, and nothing of it is left behind.
 */
const LAYERS = `set -e
cd "$1"
mount -t tmpfs -o mode=0711,size=16m tmpfs layers
mkdir layers/up layers/work layers/root
mount -t overlay overlay -o "lowerdir=$2,upperdir=layers/up,workdir=layers/work" layers/root
`
const RUN = `exec "$3" --root "$1/state" run --bundle "$1" "$4"
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
  /** It hands over the socket that listens in its network, by a channel of Node's on fd 3. */
  handsOver: boolean
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

  /**
   * Null when containers of an image can be run here, `limited` ones with a network of their own; else why not and what to do.
   * Tried for real until it works.
   */
  async problem(image: string, limited: boolean): Promise<string | null> {
    const { images, wrap, user, searchPath, runtime } = this.#options
    const kind = `${limited ? 'limited' : 'unrestricted'} ${image}`
    if (this.#works.has(kind)) return null
    const root = images.get(image)
    if (root === undefined)
      return `There is no image ${JSON.stringify(image)}; there is ${[...images.keys()].join(', ') || 'none'}. The operator names them in container_images.`
    if (!existsSync(root))
      return `The folder of image ${JSON.stringify(image)} is not there; the operator names it in container_images.`
    if (user?.uid !== 0) return 'Containers need a server that is root on Linux.'
    if (!wrap) return 'Containers need PID namespaces, which this machine does not let the server make.'
    const probe = { args: ['/bin/sh', '-c', ':'], env: { PATH: IMAGE_PATH }, cwd: '/' }
    const container = this.#prepare(root, probe, [], NO_LIMITS, limited)
    const why = await tryContainer({ ...container, ...wrap(container.command, container.args) })
    await container.clean()
    if (why === null) {
      this.#works.add(kind)
      return null
    }
    const network = limited ? ' with a network of its own' : ''
    const packages = limited ? 'runc util-linux' : 'runc'
    const hint = `Is ${runtime} installed (apt-get install -y ${packages}) and found in ${searchPath ?? 'no search path'}?`
    return `A container of image ${JSON.stringify(image)}${network} cannot be run: ${JSON.stringify(why)}. ${hint}`
  }

  /**
   * A container for one process. `own`: folders of its session, which it may write; `program`: files of this machine that
   * it runs, read-only. `limited`: its network is its own. Throws where the image is gone, or the disk refuses.
   */
  prepare(
    image: string,
    work: ContainerProcess,
    { own, program }: { own: readonly string[]; program: readonly string[] },
    limits: ContainerLimits,
    limited: boolean,
  ): PreparedContainer {
    const root = this.#options.images.get(image)
    if (root === undefined) throw new Error(`There is no image ${JSON.stringify(image)} any more.`)
    const certificates = CERTIFICATES.flatMap((name) => work.env[name] ?? [])
    // There is nobody to ask for names in a network of its own.
    const network = limited ? [HOSTS_FILE] : [HOSTS_FILE, ...NETWORK_FILES]
    const lent = [...program, ...network, ...certificates].filter((path) => path.startsWith('/') && existsSync(path))
    const bounds: Bound[] = [
      ...[...new Set(lent)].map((path) => ({ path, write: false })),
      ...[...new Set(own)].map((path) => ({ path, write: true })),
    ]
    return this.#prepare(root, { ...work, env: { ...work.env, PATH: IMAGE_PATH } }, bounds, limits, limited)
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

  #prepare(
    root: string,
    work: ContainerProcess,
    bounds: Bound[],
    limits: ContainerLimits,
    limited: boolean,
  ): PreparedContainer {
    const { folder, runtime, searchPath, user } = this.#options
    const name = `troupe-${randomBytes(12).toString('hex')}`
    const place = join(folder, name)
    mkdirSync(join(place, 'layers'), { recursive: true, mode: 0o700 })
    const bundle = containerBundle(join(place, 'layers', 'root'), work, bounds, limits, user!, limited ? place : null)
    // It has the environment in it.
    writeFileSync(join(place, 'config.json'), JSON.stringify(bundle), { mode: 0o600 })
    const hands = limited ? handOver(process.execPath) : null
    const script = LAYERS + (hands?.script ?? '') + RUN
    const words = ['--mount', '--propagation', 'private', '--', '/bin/sh', '-c', script, 'troupe-container']
    return {
      command: 'unshare',
      args: [...words, place, root, runtime, name, ...(hands?.args ?? [])],
      handsOver: limited,
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
