import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { FAKE_AGENT, testEnv } from '../server.ts'
import { SLOTS } from './limits.ts'

/** What a server that is killed again and again is started with, beside its folder and the marks of its agents. */
export interface ServerOptions {
  flags: Record<string, unknown>
  env: NodeJS.ProcessEnv
}

export class Server {
  readonly #folder: string
  readonly #mark: string
  readonly #options: ServerOptions
  #child: ChildProcess | null = null
  #up = Promise.withResolvers<string>()
  #serving = false
  generation = 0

  constructor(folder: string, mark: string, options: ServerOptions) {
    this.#folder = folder
    this.#mark = mark
    this.#options = options
  }

  /** Resolves with the address once a server answers there. */
  get url(): Promise<string> {
    return this.#up.promise
  }

  /** Resolves when it serves, or when it was killed before it did. */
  async start(): Promise<void> {
    this.generation++
    const flags = {
      port: 0,
      data_dir: join(this.#folder, 'data'),
      max_running: SLOTS,
      drain_seconds: 1,
      ...this.#options.flags,
    }
    const env = testEnv({
      ANTHROPIC_API_KEY: 'test',
      ...this.#options.env,
      // Names that reach the agent, and by which its processes are known.
      CLAUDE_CODE_CHAOS: this.#mark,
      CLAUDE_CODE_CHAOS_GENERATION: String(this.generation),
      CLAUDE_CODE_CHAOS_TRACE: join(this.#folder, 'trace'),
    })
    const child = spawn(process.execPath, [SERVE_CHILD, JSON.stringify(flags), this.#folder], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4_000)))
    const lines = createInterface({ input: child.stdout })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    lines.once('line', (line) => {
      if (this.#child !== child) return
      this.#serving = true
      this.#up.resolve((JSON.parse(line) as { url: string }).url)
      resolve()
    })
    child.once('exit', (code, signal) => {
      if (signal === 'SIGKILL') resolve()
      else reject(new Error(`the server ended with ${code ?? signal}: ${stderr}`))
    })
    await promise
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Ends it as an operator would. */
  async terminate(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = null
    // Who waits for one that died while it started waits for the next.
    if (this.#serving) this.#up = Promise.withResolvers<string>()
    this.#serving = false
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await gone
  }
}

export const SERVE_CHILD = fileURLToPath(new URL('../serve-child.ts', import.meta.url))

/** The scripted agent, which first notes every prompt it is given. Appending is atomic and survives any kill. */
export const AGENT = `
import { appendFileSync } from 'node:fs'
import ${JSON.stringify(FAKE_AGENT)}
let rest = ''
process.stdin.prependListener('data', (chunk) => {
  const lines = (rest + chunk).split('\\n')
  rest = lines.pop()
  for (const line of lines)
    if (line.includes('"type":"user"')) appendFileSync(process.env.CLAUDE_CODE_CHAOS_TRACE, line + '\\n')
})
`
