import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

// The agent's shell reads the start files of its home; a test that kills it must not leave a developer's tools locked.
const home = mkdtempSync(join(tmpdir(), 'troupe-home-'))
process.on('exit', () => rmSync(home, { recursive: true, force: true }))

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    env: { HOME: home },
    isolate: false,
    // Bounds for what hangs, not for what is slow: a machine with other work on it takes many times as long.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    pool: 'forks',
    // Vitest would leave one core idle: on a machine with two that is half of it. More than four starve the agents.
    maxWorkers: Math.min(availableParallelism(), 4),
  },
})
