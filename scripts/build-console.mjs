/** Builds the console into packages/console/dist, when something of it is newer than the last build. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const home = join(root, 'packages', 'console')
export const consoleDist = join(home, 'dist')
const stamp = join(consoleDist, '.built-from')

const SOURCES = [
  'console/src',
  'console/public',
  'console/index.html',
  'console/vite.config.ts',
  'console/package.json',
]
/** What the console takes in: of the other packages, only what a browser runs. */
const SHARED = ['client/src', 'protocol/src']

/** Builds what is stale; resolves when packages/console/dist is whole. Rejects when the build fails. */
export async function buildConsole() {
  const hash = createHash('sha256').update(readFileSync(fileURLToPath(import.meta.url)))
  for (const path of [...SOURCES, ...SHARED].map((name) => join(root, 'packages', ...name.split('/')))) {
    const files = statSync(path).isFile()
      ? [path]
      : readdirSync(path, { recursive: true }).map((name) => join(path, name))
    for (const file of files.filter((name) => statSync(name).isFile()).sort())
      hash.update(file.slice(root.length)).update(readFileSync(file))
  }
  const builtFrom = hash.digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === builtFrom) return
  // Read by Vite and by React: whoever builds, readers get the build for use.
  process.env.NODE_ENV = 'production'
  const { build } = await import('vite')
  await build({ root: home, configFile: join(home, 'vite.config.ts'), logLevel: 'warn' })
  // Last, so that a build that died is made again.
  writeFileSync(stamp, builtFrom)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildConsole()
