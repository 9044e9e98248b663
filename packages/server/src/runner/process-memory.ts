import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** One process: its parent, its group, and the bytes that are its own. */
export interface ProcessEntry {
  pid: number
  parent: number
  group: number
  /** Not known until asked for where that is cheaper. */
  bytes: number | null
  /** Its threads, where the system tells. */
  tasks?: number
}

/** Files read at once: the reads take turns with everything else that uses the thread pool. */
const AT_ONCE = 16

/**
 * Bytes of memory by root: of each process with all that descends from it or is in its group, so that what was started
 * in a pid namespace, behind a wrapper or by a parent that is gone counts too. Only what left both escapes.
 */
export async function measureTrees(roots: readonly number[]): Promise<Map<number, number>> {
  const entries = await readProcesses()
  const trees = treesOf(entries, roots)
  const sums = new Map<number, number>()
  for (const [root, members] of trees) {
    let sum = 0
    for (const { pid, bytes } of members) sum += bytes ?? (await ownBytes(pid))
    sums.set(root, sum)
  }
  return sums
}

/** Which processes belong to which root. One that descends from one root and is in the group of another counts once. */
export function treesOf(entries: readonly ProcessEntry[], roots: readonly number[]): Map<number, ProcessEntry[]> {
  const children = Map.groupBy(entries, ({ parent }) => parent)
  const groups = Map.groupBy(entries, ({ group }) => group)
  const seen = new Set<number>()
  const trees = new Map<number, ProcessEntry[]>()
  for (const root of roots) {
    const members: ProcessEntry[] = []
    const add = (entry: ProcessEntry) => {
      if (seen.has(entry.pid)) return
      seen.add(entry.pid)
      members.push(entry)
      for (const child of children.get(entry.pid) ?? []) add(child)
    }
    for (const entry of entries) if (entry.pid === root) add(entry)
    for (const entry of groups.get(root) ?? []) add(entry)
    trees.set(root, members)
  }
  return trees
}

/** All processes of the machine. */
export const readProcesses = (): Promise<ProcessEntry[]> => (process.platform === 'linux' ? readProc() : readPs())

async function readProc(): Promise<ProcessEntry[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const entries: ProcessEntry[] = []
  for (let first = 0; first < pids.length; first += AT_ONCE) {
    const stats = pids
      .slice(first, first + AT_ONCE)
      .map((pid) => readFile(`/proc/${pid}/stat`, 'latin1').catch(() => ''))
    for (const stat of await Promise.all(stats)) {
      // proc(5): pid (name) state ppid pgrp …; the name may hold anything.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 18)
      const [, parent, group] = fields
      if (group !== undefined)
        entries.push({
          pid: Number.parseInt(stat, 10),
          parent: Number(parent),
          group: Number(group),
          bytes: null,
          tasks: Number(fields[17] ?? 1),
        })
    }
  }
  return entries
}

/**
 * What is in memory and not pages of files: those of the binary and of libraries are there once for all agents, and the
 * kernel drops them when it must. Where the kernel does not tell them apart, all that is resident. A process that has
 * ended has none.
 */
export async function ownBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')
  const kib = /^RssAnon:\s+(\d+)/m.exec(status) ?? /^VmRSS:\s+(\d+)/m.exec(status)
  return Number(kib?.[1] ?? 0) * 1024
}

/** Where there is no `/proc`. Resident memory with what is shared: told rather too high. */
async function readPs(): Promise<ProcessEntry[]> {
  const { stdout } = await promisify(execFile)('ps', ['-axo', 'pid=,ppid=,pgid=,rss='], { maxBuffer: 16 * 2 ** 20 })
  return parsePs(stdout)
}

export function parsePs(text: string): ProcessEntry[] {
  return text.split('\n').flatMap((line) => {
    const [pid, parent, group, kib] = line.trim().split(/\s+/).map(Number)
    return kib === undefined ? [] : [{ pid: pid!, parent: parent!, group: group!, bytes: kib * 1024 }]
  })
}
