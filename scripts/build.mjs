/**
 * Builds the console, then bundles the server and the CLI into packages/cli/dist with the console beside them, each
 * when a source is newer than the last build. Libraries of the server stay outside: they are installed, and their
 * licences with them.
 */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildConsole, consoleDist } from './build-console.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'packages', 'cli', 'dist')
const stamp = join(dist, '.built-from')

await buildConsole()

const sources = readdirSync(join(root, 'packages'))
  .filter((name) => name !== 'console')
  .flatMap((name) => [join(root, 'packages', name, 'src'), join(root, 'packages', name, 'package.json')])
  .filter((path) => existsSync(path))
const files = sources.flatMap((path) =>
  statSync(path).isFile()
    ? [path]
    : readdirSync(path, { recursive: true })
        .map((name) => join(path, String(name)))
        .filter((file) => statSync(file).isFile()),
)
const hash = createHash('sha256').update(readFileSync(join(consoleDist, '.built-from')))
for (const file of [...files, fileURLToPath(import.meta.url)].sort())
  hash.update(file.slice(root.length)).update(readFileSync(file))
const builtFrom = hash.digest('hex')

if (existsSync(stamp) && readFileSync(stamp, 'utf8') === builtFrom) process.exit(0)

const { build } = await import('rolldown')
rmSync(dist, { recursive: true, force: true })
await build({
  cwd: root,
  input: { troupe: join(root, 'packages', 'cli', 'src', 'main.ts') },
  platform: 'node',
  external: (id) => !id.startsWith('.') && !id.startsWith('/') && !id.startsWith('@troupe/'),
  output: {
    dir: dist,
    format: 'esm',
    entryFileNames: '[name].mjs',
    chunkFileNames: '[name]-[hash].mjs',
    sourcemap: true,
  },
  logLevel: 'warn',
})
cpSync(consoleDist, join(dist, 'console'), { recursive: true })
// Last, so that a build that died is made again.
writeFileSync(stamp, builtFrom)
