import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Containment } from '../src/runner/containment.ts'
import { PidFiles } from '../src/runner/pid-files.ts'

const PARENT = fileURLToPath(new URL('support/containment-parent.ts', import.meta.url))

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-contained-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const cases: [Containment['name'], boolean][] = [
  ['pid namespace', true],
  ['pid namespace (user)', true],
  ['watchdog', true],
  // The agent dies; a tool in flight may run to its end.
  ['parent death signal', false],
]

/** Ends a server with kill -9, and sees its agent end. */
async function killed(name: Containment['name'], toolsToo: boolean, user: string[] = []): Promise<void> {
  const fifo = join(folder, 'alive')
  expect(spawnSync('mkfifo', ['-m', '666', fifo]).status).toBe(0)
  // Whoever is alive holds the pipe open; its end says that all are gone.
  const script = `exec 9>${fifo}; ${toolsToo ? 'sleep 1003 &' : 'sleep 3 9>&- &'} echo ready; wait`
  const parent = spawn(process.execPath, [PARENT, name, folder, script, ...user], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const holders = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = (await once(parent.stdout, 'data')) as [Buffer]
  if (said.toString().startsWith('not here')) {
    holders.kill()
    // A machine that forbids it (a locked-down container) falls back to the next way, which is tested too.
    expect(['pid namespace', 'pid namespace (user)', 'parent death signal']).toContain(name)
    return
  }
  expect(said.toString()).toBe('ready\n')
  const gone = once(holders, 'exit')
  parent.kill('SIGKILL')
  await gone
  expect(readdirSync(join(folder, 'agents'))).toHaveLength(1)
}

test.each(cases)('N1 kill -9 of the server ends the agent at once: %s', (name, toolsToo) => killed(name, toolsToo))

test.skipIf(process.getuid?.() !== 0).each(cases)(
  'IS15 nothing of an agent of another user outlives its server: %s',
  async (name, toolsToo) => {
    chmodSync(folder, 0o777)
    await killed(name, toolsToo, ['nobody'])
  },
)

test('N2 what outlived its server is killed at the next start, and nothing else is', async () => {
  const pidFolder = join(folder, 'agents')
  const files = new PidFiles(pidFolder)
  const ours = spawn('sleep', ['1004'], { detached: true, stdio: 'ignore' })
  const other = spawn('sleep', ['1005'], { detached: true, stdio: 'ignore' })
  files.add(ours.pid!, 'sesn_x')
  // A pid that was given out again: the note is of a process that began at another time.
  writeFileSync(join(pidFolder, String(other.pid)), JSON.stringify({ started: '1', sessionId: 'sesn_y' }))
  writeFileSync(join(pidFolder, 'rubbish'), 'not json')
  const gone = once(ours, 'exit')
  expect(new PidFiles(pidFolder).reap()).toBe(1)
  expect(await gone).toEqual([null, 'SIGKILL'])
  expect(other.exitCode).toBeNull()
  expect(existsSync(`/proc/${other.pid}`)).toBe(true)
  expect(readdirSync(pidFolder)).toEqual([])
  other.kill('SIGKILL')
})
