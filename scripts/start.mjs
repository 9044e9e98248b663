/** `npm start`: installs, builds what is stale, and serves. Arguments after `--` are those of `troupe serve`. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ensureInstalled, environment, node, root } from './install.mjs'

ensureInstalled()
const built = spawnSync(node(), [join(root, 'scripts', 'build.mjs')], {
  cwd: root,
  stdio: 'inherit',
  env: environment(),
})
if (built.status !== 0) process.exit(built.status ?? 1)
const server = spawn(node(), [join(root, 'packages', 'cli', 'bin', 'troupe.mjs'), 'serve', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: process.env,
})
// The terminal sends Ctrl+C to the whole group; what is sent to us alone is passed on.
process.on('SIGINT', () => {})
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => server.kill(signal))
server.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)))
