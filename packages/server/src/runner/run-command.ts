import { finished } from 'node:stream/promises'
import type { Containment } from './containment.ts'
import type { PidFiles } from './pid-files.ts'
import { spawnAgent } from './spawn-agent.ts'

/** Characters of what a command said that are kept while it runs: more than any secret that is masked in it. */
const KEPT_CHARS = 128 * 1024

export interface Command {
  sessionId: string
  command: string
  cwd: string
  env: Record<string, string>
  /** Ends it, and all that it started. */
  signal: AbortSignal
}

/** How a command ended, and the end of what it said, on both channels. `error`: it could not be started. */
export interface CommandEnd {
  code: number | null
  signal: NodeJS.Signals | null
  error: Error | null
  said: string
  /** It said more than is kept. */
  cut: boolean
}

/** Both channels are one, in the order of what was said. */
const SHELL = ['/bin/sh', '-c', 'exec /bin/sh -c "$1" 2>&1', 'setup'] as const

/**
 * Runs a command as an agent would be run: contained, and noted, so that nothing of it outlives its end or that of the
 * server. Never rejects.
 */
export async function runCommand(
  { containment, pidFiles }: { containment: Containment; pidFiles: PidFiles },
  { sessionId, command, cwd, env, signal }: Command,
): Promise<CommandEnd> {
  const [shell, ...words] = SHELL
  const options = { command: shell, args: [...words, command], cwd, env, signal }
  const child = spawnAgent(options, sessionId, containment, pidFiles)
  const { stdin, stdout } = child.process
  stdin?.end()
  let said = ''
  let cut = false
  // Of a process that could not be started there is nothing to read.
  stdout?.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (said.length <= 2 * KEPT_CHARS) return
    said = said.slice(-KEPT_CHARS)
    cut = true
  })
  const read = stdout ? finished(stdout, { writable: false }).catch(() => undefined) : undefined
  const kill = () => child.signal('SIGKILL')
  signal.addEventListener('abort', kill)
  if (signal.aborted) kill()
  const exit = await child.exited
  signal.removeEventListener('abort', kill)
  if (!exit.error) await read
  return { code: exit.code, signal: exit.signal, error: exit.error, said, cut }
}
