import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { testEnv } from './server.ts'

export const SERVE_CHILD = fileURLToPath(new URL('serve-child.ts', import.meta.url))

export interface KillableServer {
  child: ChildProcess
  /** Empty until it serves. */
  url: string
  /** Resolves when it serves, or ended before it did. */
  serving: Promise<void>
  /** Resolves with code and signal when it is gone. */
  exited: Promise<unknown[]>
  /** Sends JSON where there is a body, and answers with what came back. */
  call<T>(path: string, body?: unknown): Promise<T>
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>
  /** Ends it as an operator would; resolves with code and signal. */
  stop(): Promise<unknown[]>
}

/**
 * A server as a process of its own, on `folder`/data. The test that started it never leaves it behind, however it ends:
 * what such a process keeps open would keep the whole run waiting.
 */
export function spawnServer(
  folder: string,
  flags: object = {},
  env: NodeJS.ProcessEnv = { ANTHROPIC_API_KEY: 'test' },
): KillableServer {
  const all = JSON.stringify({ port: 0, data_dir: join(folder, 'data'), ...flags })
  const child = spawn(process.execPath, [SERVE_CHILD, all, folder], {
    env: testEnv(env),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    return exited
  }
  onTestFinished(async () => void (await end('SIGKILL')))
  const server: KillableServer = {
    child,
    url: '',
    serving: served(),
    exited,
    async call<T>(path: string, body?: unknown) {
      const headers = { 'content-type': 'application/json' }
      const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) }
      return (await (await fetch(server.url + path, init)).json()) as T
    },
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  }
  async function served() {
    const [line] = (await Promise.race([once(child.stdout, 'data'), exited])) as unknown[]
    if (Buffer.isBuffer(line)) server.url = (JSON.parse(line.toString()) as { url: string }).url
  }
  return server
}

/** The same, once it serves. */
export async function killableServer(...how: Parameters<typeof spawnServer>): Promise<KillableServer> {
  const server = spawnServer(...how)
  await server.serving
  return server
}
