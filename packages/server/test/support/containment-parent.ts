import { detectContainment, type Containment } from '../../src/runner/containment.ts'
import { PidFiles } from '../../src/runner/pid-files.ts'
import { spawnAgent } from '../../src/runner/spawn-agent.ts'

/** A server reduced to one contained process, for a test to kill. */
const [name, folder, script] = process.argv.slice(2) as [Containment['name'], string, string]
const containment = detectContainment(name)
if (containment.name !== name) {
  process.stdout.write('not here\n')
  process.exit(0)
}
const child = spawnAgent(
  {
    command: '/bin/sh',
    args: ['-c', script],
    cwd: folder,
    env: { PATH: process.env.PATH },
    signal: new AbortController().signal,
  },
  'sesn_x',
  containment,
  new PidFiles(`${folder}/agents`),
)
child.process.stdout.once('data', () => process.stdout.write('ready\n'))
