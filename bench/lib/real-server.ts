import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const SCRIPT = fileURLToPath(new URL('../../packages/server/test/support/serve-child.ts', import.meta.url))

export interface RealServer extends AsyncDisposable {
  readonly url: string
  readonly child: ChildProcess
  /** Its data lie in `data`. */
  readonly folder: string
  /** Milliseconds from the start of the process to the first 200 of `path`. */
  readonly startMs: number
  /** Resident bytes. */
  memory(): number
}

/** Starts any script that listens on the port of its settings, and asks `path` until it answers. */
export async function realServer(
  env: NodeJS.ProcessEnv,
  path = '/health',
  script = SCRIPT,
  flags: object = {},
): Promise<RealServer> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-bench-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const { PATH, LANG, TMPDIR } = process.env
  const begun = performance.now()
  const child = spawn(
    process.execPath,
    [script, JSON.stringify({ port, data_dir: join(folder, 'data'), ...flags }), folder],
    {
      // A home of its own: what a killed shell leaves in the start files' locks must not slow the next one.
      env: { PATH, HOME: folder, LANG, TMPDIR, IS_SANDBOX: '1', ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )
  const exited = once(child, 'exit')
  while (
    !(await fetch(url + path).then(
      (response) => response.ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`)
    await delay(2)
  }
  const startMs = performance.now() - begun
  return {
    url,
    child,
    folder,
    startMs,
    memory: () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) * 1024,
    async [Symbol.asyncDispose]() {
      child.kill()
      await exited
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
