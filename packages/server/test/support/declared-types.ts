import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** An answer of the server, and the method of `client.beta` that was given it. */
export interface Answer {
  method: string
  body: unknown
}

/** A `fetch` that keeps what is answered to requests that are made while a method's name is set. */
export class Recorder {
  method: string | null = null
  readonly #answers: { method: string; type: string; text: string }[] = []

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, init)
    const { status, headers } = response
    const type = headers.get('content-type') ?? ''
    if (this.method === null || !response.ok || !/json|event-stream/.test(type)) return response
    const answer = { method: this.method, type, text: '' }
    this.#answers.push(answer)
    const decoder = new TextDecoder()
    const kept = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        answer.text += decoder.decode(chunk, { stream: true })
        controller.enqueue(chunk)
      },
    })
    return new Response(response.body!.pipeThrough(kept), { status, headers })
  }

  /** What was answered until now: bodies, and of streams each event. */
  answers(): Answer[] {
    return this.#answers.flatMap(({ method, type, text }) => {
      const bodies = type.includes('json') ? [text] : text.split('\n').filter((line) => line.startsWith('data: '))
      return bodies.map((body) => ({ method, body: JSON.parse(body.replace(/^data: /, '')) as unknown }))
    })
  }
}

/** A JSON value as the narrowest type of TypeScript that it is of. */
function typeOf(value: unknown): string {
  if (Array.isArray(value)) return `(${[...new Set(value.map(typeOf))].join(' | ') || 'never'})[]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}: ${typeOf(field)}`)
  return `{ ${fields.join('; ')} }`
}

const HEAD = (sdk: string) => [
  `import type { Anthropic } from '${sdk}'`,
  `type Beta = Anthropic['beta']`,
  'type Of<M> = M extends (...args: never[]) => PromiseLike<infer T> ? T : never',
  // A page is declared with the methods that turn it: an answer has its fields.
  'type Page<T> = { [K in keyof T as T[K] extends (...args: never[]) => unknown ? never : K]: T[K] }',
  'type Told<T> = T extends { getPaginatedItems(): unknown } ? Page<T> : T extends AsyncIterable<infer E> ? E : T',
]

/**
 * What the compiler says of answers that are not of the types that an official SDK (`anthropic-sdk-1.12`) declares for
 * them, once for each mistake, with the method; none when all are. Fields that are not declared are no mistakes.
 */
export async function undeclared(sdk: string, answers: readonly Answer[]): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-types-'))
  try {
    const modules = fileURLToPath(new URL('../../../../node_modules', import.meta.url))
    symlinkSync(modules, join(folder, 'node_modules'))
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    const lines = [...HEAD(sdk), ...new Set(answers.map(check))]
    writeFileSync(join(folder, 'answers.ts'), lines.join('\n'))
    const flags = '--noEmit --strict --skipLibCheck --module nodenext --target es2024 --pretty false --types node'
    const tsc = [join(modules, 'typescript/bin/tsc'), ...flags.split(' '), 'answers.ts']
    const output = await promisify(execFile)(process.execPath, tsc, { cwd: folder }).then(
      () => '',
      ({ stdout }: { stdout: string }) => stdout,
    )
    // A mistake is told from the whole to the part that is wrong, each line deeper than the one before.
    const mistakes = output.split(/^(?=answers\.ts\()/m).filter((text) => text !== '')
    return [...new Set(mistakes.map((text) => `${methodAt(lines, text)}: ${text.trim().split('\n').at(-1)!.trim()}`))]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const check = ({ method, body }: Answer): string => {
  const path = method.split('.').map((name) => `['${name}']`)
  return `null! as ${typeOf(body)} satisfies Told<Of<Beta${path.join('')}>> // ${method}`
}

const methodAt = (lines: string[], mistake: string): string =>
  lines[Number(/^answers\.ts\((\d+),/.exec(mistake)?.[1]) - 1]?.split(' // ').at(-1) ?? 'the compiler'
