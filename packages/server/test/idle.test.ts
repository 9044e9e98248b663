import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('AT1 many connections that ask for nothing, or for half of something, cost little, slow nobody, and are given back', async () => {
  const script = fileURLToPath(new URL('../../../scripts/idle.ts', import.meta.url))
  const args = [script, '--connections', '400', '--seconds', '0']
  const { stdout } = await promisify(execFile)(process.execPath, args).catch((error: { stdout: string }) => error)
  expect(stdout).toContain('file descriptors afterwards')
  expect(stdout).not.toContain('✗')
})
