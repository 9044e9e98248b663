import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const BIN = fileURLToPath(new URL('../../bin/troupe.mjs', import.meta.url))

export interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

export interface Running {
  child: ChildProcess
  /** Resolves when stdout and stderr together contain the text; rejects when the command ends without it. */
  says(text: string): Promise<void>
  finished: Promise<Finished>
}

/** Starts the command as a person would, with an environment of its own. */
export function startCli(
  args: string[],
  options: { url?: string; stdin?: string; env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Running {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: {
      PATH: process.env.PATH,
      HOME: tmpdir(),
      ...(options.url !== undefined && { TROUPE_URL: options.url }),
      ...options.env,
    },
    stdio: 'pipe',
  })
  let stdout = ''
  let stderr = ''
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const look of waiting) look()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    wake()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    wake()
  })
  child.stdin.on('error', () => undefined).end(options.stdin ?? '')
  const finished = new Promise<Finished>((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
  return {
    child,
    finished,
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!(stdout + stderr).includes(text)) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
        void finished.then(() => reject(new Error(`ended without saying ${text}:\n${stdout}\n${stderr}`)))
      }),
  }
}

export const runCli = (args: string[], options: Parameters<typeof startCli>[1] = {}): Promise<Finished> =>
  startCli(args, options).finished

export function tempFolder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'troupe-cli-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) }
}

/** The lines of a stream of JSON. */
export const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
