import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { detectContainment } from '../src/runner/containment.ts'
import { MemoryBudget } from '../src/runner/memory-budget.ts'
import { measureTrees, parsePs, treesOf } from '../src/runner/process-memory.ts'

const MIB = 2 ** 20

describe('the memory budget', () => {
  test('J23 a session counts with a reserve while it starts, then as measured; one always has room', () => {
    const budget = new MemoryBudget(1_000 * MIB)
    const first = budget.reserve(0)!
    first.assign('sesn_1')
    const second = budget.reserve(0)!
    second.assign('sesn_2')
    // 800 MiB are spoken for before anything was measured.
    expect(budget.reserve(0)).toBeNull()
    budget.note(new Map([['sesn_1', 100 * MIB]]))
    expect(budget.view(14_999)).toEqual({ budget: 1_000 * MIB, used: 800 * MIB })
    // The second one was not seen: what nobody could measure keeps its reserve.
    expect(budget.view(15_000)).toEqual({ budget: 1_000 * MIB, used: 500 * MIB })
    budget.note(
      new Map([
        ['sesn_1', 100 * MIB],
        ['sesn_2', 50 * MIB],
      ]),
    )
    expect(budget.view(15_000).used).toBe(150 * MIB)
    const third = budget.reserve(15_000)!
    budget.note(new Map([['sesn_1', 5_000 * MIB]]))
    expect(budget.view(15_000).used).toBe(5_400 * MIB)
    expect(budget.reserve(90_000)).toBeNull()
    first.release('sesn_1')
    third.release()
    expect(budget.view(90_000).used).toBe(0)
    second.release('sesn_2')
    const tight = new MemoryBudget(1)
    const only = tight.reserve(0)
    expect(only).not.toBeNull()
    expect(tight.reserve(0)).toBeNull()
    only!.release()
    expect(tight.reserve(0)).not.toBeNull()
  })
})

describe('what agents take', () => {
  const HUNGRY = `
    const { spawn } = require('node:child_process')
    const taken = Buffer.alloc(60 * ${MIB}, 1)
    if (process.argv[1] === 'parent') {
      // In a group of its own, as a shell of the agent starts its jobs.
      const child = spawn(process.execPath, ['-e', process.env.HUNGRY, 'child'], { detached: true, stdio: 'inherit' })
    } else process.stdout.write('ready')
    setInterval(() => taken, 1e6)`

  test.runIf(process.platform === 'linux')(
    'J25 the memory of an agent is that of its whole tree, through wrappers, namespaces and new process groups',
    async () => {
      const { command, args } = detectContainment().wrap(process.execPath, ['-e', HUNGRY, 'parent'])
      const agent = spawn(command, args, {
        detached: true,
        env: { ...process.env, HUNGRY },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const idle = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' })
      try {
        await once(agent.stdout!, 'data')
        const bytes = await measureTrees([agent.pid!, idle.pid!, 2 ** 22 - 1])
        expect(bytes.get(agent.pid!)).toBeGreaterThan(120 * MIB)
        expect(bytes.get(agent.pid!)).toBeLessThan(400 * MIB)
        expect(bytes.get(idle.pid!)).toBeLessThan(4 * MIB)
        expect(bytes.get(2 ** 22 - 1)).toBe(0)
      } finally {
        process.kill(-agent.pid!, 'SIGKILL')
        process.kill(-idle.pid!, 'SIGKILL')
      }
    },
  )

  test('J26 a process counts once, by descent before group; what ps says is read where there is no /proc', () => {
    const entries = parsePs(`
      1     0     1   100
     10     1    10  1000
     11    10    11   200
     12    11    10    30
     13     1    10     4
     20     1    20     5
    `)
    expect(entries.at(-1)).toEqual({ pid: 20, parent: 1, group: 20, bytes: 5 * 1024 })
    const trees = treesOf(entries, [10, 11, 20])
    expect([...trees].map(([root, members]) => [root, members.map(({ pid }) => pid)])).toEqual([
      [10, [10, 11, 12, 13]],
      [11, []],
      [20, [20]],
    ])
  })
})
