import { AgentUser, findUser } from '../../src/lib/agent-user.ts'
import { detectContainment, type Containment } from '../../src/runner/containment.ts'
import { PidFiles } from '../../src/runner/pid-files.ts'
import { spawnAgent } from '../../src/runner/spawn-agent.ts'

/** A server reduced to one contained process, for a test to kill. */
const [name, folder, script, user] = process.argv.slice(2) as [Containment['name'], string, string, string?]
const other = user === undefined ? null : new AgentUser(findUser(user)!, folder)
const containment = detectContainment(name, () => other?.words(other.gid) ?? [])
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
void child.exited.then(({ stderr }) => process.stdout.write(`ended: ${stderr}\n`))
child.process.stdout.once('data', () => process.stdout.write('ready\n'))
