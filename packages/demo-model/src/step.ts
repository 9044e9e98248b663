/** Token counts as the Messages API reports them. The three input figures add up to the whole input. */
export interface Usage {
  input_tokens: number
  output_tokens: number
  cache_creation_input_tokens: number
  cache_read_input_tokens: number
}

export interface ToolCall {
  name: string
  input: Record<string, unknown>
  /** Default: a fresh `toolu_…`. A fixed id must be used once per conversation, as with the real API. */
  id?: string
}

export interface Failure {
  /** HTTP status of the error answer, 400–599. */
  status: number
  /** How many requests fail before this step is played as usual; absent: every one. */
  times?: number
  /** Value of the `retry-after` header, in seconds. */
  retry_after?: number
}

/** One response of the model. A turn is a list of these: those with tools go on, the first without ends it. */
export interface Step {
  say?: string
  /** A thinking block before the text; left out when the request has thinking disabled. */
  think?: string
  tools?: ToolCall[]
  /** Sends the text word by word with a pause of `chunk_ms` after each. Default: at once. */
  stream?: { chunk_ms: number }
  /** Milliseconds before the first byte of the answer. Default 0. */
  delay_ms?: number
  fail?: Failure
  /** `true`: never answers. `'mid'`: sends about half of the text, then nothing more. Both end when the client leaves. */
  hang?: true | 'mid'
  /** Replaces single figures of the computed usage. */
  usage?: Partial<Usage>
  /** Default: `tool_use` with tools, else `end_turn`. */
  stop_reason?: string
}

/** The steps given to a script are not usable; the message lists every problem with its place. */
export class StepError extends Error {
  override readonly name = 'StepError'
}

type Check = (value: unknown, at: string, problems: string[]) => void

/** Largest pause a step may ask for, in ms. */
const MAX_PAUSE = 3_600_000

const shown = (value: unknown): string => {
  const json = JSON.stringify(value) ?? String(value)
  return json.length > 60 ? `${json.slice(0, 60)}…` : json
}

const text: Check = (value, at, problems) => {
  if (typeof value !== 'string') problems.push(`${at} must be a string, got ${shown(value)}`)
}

const integer =
  (min: number, max: number): Check =>
  (value, at, problems) => {
    const fits = Number.isInteger(value) && (value as number) >= min && (value as number) <= max
    if (!fits) problems.push(`${at} must be an integer from ${min} to ${max}, got ${shown(value)}`)
  }

const object =
  (fields: Record<string, Check>, required: readonly string[] = []): Check =>
  (value, at, problems) => {
    if (!isRecord(value)) return void problems.push(`${at} must be an object, got ${shown(value)}`)
    for (const name of required) if (value[name] === undefined) problems.push(`${at}.${name} is missing`)
    for (const [name, member] of Object.entries(value)) {
      if (!Object.hasOwn(fields, name)) {
        problems.push(`${at}.${name} is not known; known: ${Object.keys(fields).join(', ')}`)
      } else if (member !== undefined) fields[name]?.(member, `${at}.${name}`, problems)
    }
  }

const record: Check = (value, at, problems) => {
  if (!isRecord(value)) problems.push(`${at} must be an object, got ${shown(value)}`)
}

const hang: Check = (value, at, problems) => {
  if (value !== true && value !== 'mid') problems.push(`${at} must be true or "mid", got ${shown(value)}`)
}

const list =
  (item: Check): Check =>
  (value, at, problems) => {
    if (!Array.isArray(value)) return void problems.push(`${at} must be a list, got ${shown(value)}`)
    for (const [index, member] of value.entries()) item(member, `${at}[${index}]`, problems)
  }

const tokens = integer(0, 1_000_000_000)

const USAGE: Record<keyof Usage, Check> = {
  input_tokens: tokens,
  output_tokens: tokens,
  cache_creation_input_tokens: tokens,
  cache_read_input_tokens: tokens,
}

const FIELDS: Record<keyof Step, Check> = {
  say: text,
  think: text,
  tools: list(object({ name: text, input: record, id: text }, ['name', 'input'])),
  stream: object({ chunk_ms: integer(0, MAX_PAUSE) }, ['chunk_ms']),
  delay_ms: integer(0, MAX_PAUSE),
  fail: object({ status: integer(400, 599), times: integer(1, 1_000_000), retry_after: integer(0, 86_400) }, [
    'status',
  ]),
  hang,
  usage: object(USAGE),
  stop_reason: text,
}

const step: Check = (value, at, problems) => {
  object(FIELDS)(value, at, problems)
  if (!isRecord(value)) return
  const content = ['say', 'tools', 'fail', 'hang'].some((name) => value[name] !== undefined)
  if (!content) problems.push(`${at} answers nothing: give it say, tools, fail or hang`)
}

/** Returns the value as steps, or throws a StepError that names every problem. Unknown fields are problems. */
export function parseSteps(value: unknown): Step[] {
  const problems: string[] = []
  list(step)(value, 'steps', problems)
  if (Array.isArray(value) && value.length === 0) problems.push('steps is empty')
  if (problems.length > 0) throw new StepError(problems.join('; '))
  return value as Step[]
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
