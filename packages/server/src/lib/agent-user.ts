import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  type Stats,
  statSync,
} from 'node:fs'
import { basename, join } from 'node:path'

/** A user of the machine that is not root. */
export interface UserId {
  name: string
  uid: number
  gid: number
}

/**
 * Groups of sessions, one for each: numbers that neither distributions nor containers give out. No entry in `/etc/group`
 * is needed.
 */
const FIRST_GROUP = 0x7000_0000
const LAST_GROUP = 0x7fff_fffe
const PATIENCE_MS = 10_000

const isSessionGroup = (gid: number): boolean => gid >= FIRST_GROUP && gid <= LAST_GROUP

/** Whether a session's folder was made for agents that run as another user than the server. */
export const isGuarded = (root: string): boolean => {
  const found = lstatSync(root, { throwIfNoEntry: false })
  return found !== undefined && isSessionGroup(found.gid)
}

/** A user by name or number, `user:group` with another group than its own; null: there is none. A number needs no entry. */
export function findUser(text: string): UserId | null {
  const [user = '', group] = text.split(':', 2)
  const known = entry('passwd', user)
  const number = /^\d{1,10}$/.test(user) ? Number(user) : null
  const uid = known ? Number(known[2]) : number
  const gid = group === undefined ? (known ? Number(known[3]) : number) : groupId(group)
  if (uid === null || gid === null || uid >= 0xffff_ffff || gid >= 0xffff_ffff) return null
  return { name: known?.[0] ?? text, uid, gid }
}

const groupId = (group: string): number | null =>
  /^\d{1,10}$/.test(group) ? Number(group) : Number(entry('group', group)?.[2] ?? NaN) || null

function entry(file: 'passwd' | 'group', key: string): string[] | null {
  if (!/^[\w.@-]+$/.test(key) || key.startsWith('-')) return null
  const asked = spawnSync('getent', [file, key], { encoding: 'utf8', timeout: PATIENCE_MS })
  const lines = asked.error ? readFileSync(`/etc/${file}`, 'utf8') : asked.stdout
  const column = /^\d+$/.test(key) ? 2 : 0
  const fields = lines.split('\n').map((line) => line.split(':'))
  return fields.find((each) => each[column] === key) ?? null
}

/**
 * The user as which agents run where the server is root, and how what is theirs is kept apart. All sessions have the one
 * user and each a group of its own: the folder around what is a session's belongs to root and can be entered by that
 * group alone, and processes of other groups can neither trace it nor look into it by `/proc`.
 */
export class AgentUser implements UserId {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly #groups = new Set<number>()
  #nextGroup: number

  constructor({ name, uid, gid }: UserId, sessionsDir: string) {
    this.name = name
    this.uid = uid
    this.gid = gid
    // Not from the first on at each start: what a session left elsewhere is not for a later one.
    this.#nextGroup = randomInt(FIRST_GROUP, LAST_GROUP)
    for (const folder of namesIn(sessionsDir)) {
      const found = lstatSync(join(sessionsDir, folder), { throwIfNoEntry: false })
      if (found && isSessionGroup(found.gid)) this.#groups.add(found.gid)
    }
  }

  /**
   * Makes a session's folder, which its agents can enter and not change, and answers its group. What a server without
   * this setting had made in it is given to the agents first; then the group says that it is done.
   */
  guard(root: string): number {
    mkdirSync(root, { recursive: true, mode: 0o700 })
    const { gid } = lstatSync(root)
    if (isSessionGroup(gid)) return gid
    const own = this.#newGroup()
    for (const name of ['workdir', 'claude', 'home']) {
      const folder = join(root, name)
      const found = lstatSync(folder, { throwIfNoEntry: false })
      if (found?.isSymbolicLink()) {
        const elsewhere = readlinkSync(folder)
        if (basename(elsewhere) === basename(root)) this.#giveTree(elsewhere, own)
      } else if (found) this.#giveTree(folder, own)
    }
    chmodSync(root, 0o710)
    chownSync(root, 0, own)
    return own
  }

  /** The group of the session whose folder this is; that of the user where there is none. */
  groupOf(root: string): number {
    const gid = statSync(root, { throwIfNoEntry: false })?.gid
    return gid !== undefined && isSessionGroup(gid) ? gid : this.gid
  }

  /** Makes a folder of the agents' own; only in folders that they cannot change. */
  give(folder: string, group: number): void {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const { uid } = lstatSync(folder)
    if (uid !== this.uid) this.#giveTree(folder, group)
  }

  /** Makes a folder that is root's, and in which a session's agents may do what they like; beside folders of others. */
  lend(folder: string, group: number): void {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    chownSync(folder, 0, group)
    chmodSync(folder, 0o770)
  }

  /** Lets agents read a folder of root's, whatever the umask; only in folders that others cannot enter. */
  show(folder: string): void {
    const done = spawnSync('chmod', ['-R', 'go+rX', '--', folder], { encoding: 'utf8' })
    if (done.status !== 0)
      throw new Error(`${folder} could not be opened to agents: ${done.error?.message ?? done.stderr}`)
  }

  owns(path: string): boolean {
    return lstatSync(path, { throwIfNoEntry: false })?.uid === this.uid
  }

  /** Gives away what root has just made at a place that nobody else can change. */
  giveLink(path: string, group: number): void {
    lchownSync(path, this.uid, group)
  }

  /** Whether an agent may read this, and enter it where it is a folder: what it may not is not read for it either. */
  mayRead({ uid, gid, mode }: Pick<Stats, 'uid' | 'gid' | 'mode'>, folder = false): boolean {
    const needed = folder ? 0o5 : 0o4
    if (uid === this.uid) return true
    const group = gid === this.gid || isSessionGroup(gid)
    return ((group ? mode >> 3 : mode) & needed) === needed
  }

  /** For programs that the server runs in a workdir: the agents' user, and nothing of root's groups. `gid`: the folder's. */
  processAs(gid: number): { uid: number; gid: number } {
    return { uid: this.uid, gid: isSessionGroup(gid) ? gid : this.gid }
  }

  /** Words before a command that make it run as this user, in a session's group and without any right of root. */
  words(group: number): string[] {
    const rights = ['--inh-caps=-all', '--ambient-caps=-all', '--no-new-privs']
    const ids = [`--reuid=${this.uid}`, `--regid=${group}`, `--groups=${this.gid}`]
    // A change of user forgets the signal that ends it with its parent.
    return ['setpriv', ...ids, ...rights, '--pdeathsig=KILL', '--']
  }

  /** Why a command cannot be run as this user here; null: it can. */
  problem(command: string[]): string | null {
    const [program, ...args] = [...this.words(FIRST_GROUP), ...command]
    const done = spawnSync(program!, args, { encoding: 'utf8', timeout: PATIENCE_MS, cwd: '/' })
    if (done.status === 0) return null
    return done.error?.message ?? (done.stderr.trim().split('\n')[0] || `exit code ${done.status}`)
  }

  /** One of a quarter of a billion, that no other session here has. */
  #newGroup(): number {
    do this.#nextGroup = this.#nextGroup >= LAST_GROUP ? FIRST_GROUP : this.#nextGroup + 1
    while (this.#groups.has(this.#nextGroup))
    this.#groups.add(this.#nextGroup)
    return this.#nextGroup
  }

  /** Follows no link, whoever puts one in the way meanwhile. */
  #giveTree(folder: string, group: number): void {
    const words = ['-R', '-h', '-P', `${this.uid}:${group}`, '--', folder]
    const done = spawnSync('chown', words, { encoding: 'utf8' })
    if (done.status !== 0)
      throw new Error(`${folder} could not be given to the user ${this.name}: ${done.error?.message ?? done.stderr}`)
  }
}

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
