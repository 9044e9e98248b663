/**
 * Installs what package-lock.json names, when it has changed since the last install. Plain JavaScript that runs on
 * Node 20: it begins before the pinned Node is there.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const stamp = join(root, 'node_modules', '.troupe-installed')

/** Installs if need be; ends the process with npm's own exit code when that fails. */
export function ensureInstalled() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(`${process.platform}-${process.arch}`)
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  console.error('Installing what package-lock.json names (once) …')
  const npm = process.env.npm_execpath
  const [command, ...words] = npm ? [process.execPath, npm] : ['npm']
  const { status } = spawnSync(command, [...words, 'ci', '--include=dev', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) {
    console.error('npm ci failed; the lines above say why.')
    process.exit(status ?? 1)
  }
  // Last, so that an install that died is made again.
  writeFileSync(stamp, lock)
}

/** The Node that runs Troupe: the pinned one, or this one where there is no pin for the platform and it is new enough. */
export function node() {
  const pinned = join(bin, 'node')
  if (existsSync(pinned)) return pinned
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 18)) return process.execPath
  console.error(
    `Troupe needs Node 22.18 or newer on ${process.platform}-${process.arch}; this is ${process.versions.node}.`,
  )
  process.exit(1)
}

/** The environment for what runs under that Node: the tools of this project come first. */
export function environment(more = {}) {
  return { ...process.env, ...more, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` }
}
