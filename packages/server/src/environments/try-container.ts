import { spawn } from 'node:child_process'
import type { Server } from 'node:net'
import type { PreparedContainer } from './containers.ts'

/** Milliseconds that a container may take to begin and end that does nothing. */
const PATIENCE_MS = 20_000

/** Runs a container that does nothing. What is wrong with it, in the last words of who said so; null: nothing. Never rejects. */
export async function tryContainer({
  command,
  args,
  env,
  handsOver,
}: Omit<PreparedContainer, 'clean'>): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>()
  const child = spawn(command, args, {
    env,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe', ...(handsOver ? (['ipc'] as const) : [])],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  })
  let stderr = ''
  let handed = false
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.once('message', (_told, socket) => {
    handed = socket !== undefined
    ;(socket as Server | undefined)?.close()
  })
  child.once('error', (error) => resolve(error.message))
  child.once('close', (code, signal) => {
    const last = stderr.trim().split('\n').at(-1)
    if (code !== 0) resolve(last || (signal ? `it was ended by ${signal}` : `it exited with code ${code}`))
    else resolve(handsOver && !handed ? 'nothing listens in its network' : null)
  })
  return promise
}
