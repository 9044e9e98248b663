import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FlushDelay } from './flush-delay.ts'
import type { Commands } from './server-process.ts'

export interface BenchServer extends AsyncDisposable {
  readonly url: string
  readonly folder: string
  command<K extends keyof Commands>(
    command: K,
    ...args: Parameters<Commands[K]>
  ): Promise<Awaited<ReturnType<Commands[K]>>>
}

/** Starts `server-process.ts` with a folder of its own; disposing ends both. `TROUPE_BENCH_PROF` names a folder for CPU profiles. */
export async function benchServer(delay?: FlushDelay): Promise<BenchServer> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-bench-'))
  const script = fileURLToPath(new URL('server-process.ts', import.meta.url))
  const profiles = process.env.TROUPE_BENCH_PROF
  const flags = profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []
  const child: ChildProcess = spawn(
    process.execPath,
    [...flags, script, folder, ...(delay ? [JSON.stringify(delay)] : [])],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  )
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const call = (n: number) => {
    const pending = Promise.withResolvers<unknown>()
    waiting.set(n, pending)
    return pending.promise
  }
  const ready = call(0)
  child.on('message', ({ n, result, error }: { n: number; result?: unknown; error?: string }) => {
    if (error === undefined) waiting.get(n)?.resolve(result)
    else waiting.get(n)?.reject(new Error(error))
    waiting.delete(n)
  })
  const exited = new Promise<void>((resolve) =>
    child.once('exit', (code) => {
      for (const pending of waiting.values()) pending.reject(new Error(`the server process ended with ${code}`))
      resolve()
    }),
  )
  await ready
  let count = 0
  const command: BenchServer['command'] = (name, ...args) => {
    const n = ++count
    const answer = call(n)
    child.send({ n, command: name, args: args[0] })
    return answer as never
  }
  return {
    url: await command('url'),
    folder,
    command,
    async [Symbol.asyncDispose]() {
      child.disconnect()
      await exited
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}
