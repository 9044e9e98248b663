import { finished } from 'node:stream/promises'
import type { SessionRow } from '../store/session-row.ts'
import { spawnFor, type SpawnSettings } from './spawn-for.ts'

/** Characters of what a command said that are kept while it runs: more than any secret that is masked in it. */
const KEPT_CHARS = 128 * 1024

export interface Command {
  session: SessionRow
  command: string
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
 * Runs a command in the workdir of a session as its agent would be run: contained, and noted, so that nothing of it
 * outlives its end or that of the server. Rejects where the agent could not be run either.
 */
export async function runCommand(
  settings: SpawnSettings,
  { session, command, env, signal }: Command,
): Promise<CommandEnd> {
  const [shell, ...words] = SHELL
  const options = { command: shell, args: [...words, command], cwd: session.cwd, env, signal }
  const child = spawnFor(settings, session, options)
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
  if (exit.breach) said += `\nIt was ended: ${exit.breach.message}.`
  return { code: exit.code, signal: exit.signal, error: exit.error, said, cut }
}
