import { startApp } from '../../src/app.ts'
import { loadConfig, type Setting } from '../../src/config.ts'

/**
 * A whole server as a process of its own, for tests that kill it. Arguments: the settings as JSON, and the folder of
 * its config files. Prints one line of JSON when it serves; TERM drains it.
 */
const [flags = '{}', cwd = '/'] = process.argv.slice(2)
const app = await startApp(
  loadConfig({ flags: JSON.parse(flags) as Partial<Record<Setting, unknown>>, env: process.env, cwd }),
)
process.once('SIGTERM', () => {
  void app.stop().then(() => process.exit(0))
})
process.stdout.write(`${JSON.stringify({ url: app.url, pid: process.pid, containment: app.containment.name })}\n`)
