import type { NewSession } from '@troupe/client/requests'
import type { PermissionMode } from '@troupe/protocol/agent'
import { type ArgsDef, defineCommand } from 'citty'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { clientOf } from '../connect.ts'
import { UsageError } from '../exit.ts'
import { clientArgs, readArgs, wholeNumber } from '../flags.ts'
import { InterruptKey } from '../interrupt.ts'
import { Screen } from '../screen.ts'
import { promptOf } from '../stdin.ts'
import { watchTurn } from '../watch-turn.ts'

const MODES = [
  'default',
  'acceptEdits',
  'plan',
  'bypassPermissions',
  'dontAsk',
] as const satisfies readonly PermissionMode[]

/** Options that belong to a session from its beginning. */
const sessionArgs = {
  cwd: { type: 'string', valueHint: 'folder', description: "The workdir; default a fresh one of the session's own" },
  model: { type: 'string', valueHint: 'name', description: "Alias or full name; default the server's" },
  system: { type: 'string', valueHint: 'text', description: 'The whole system prompt; default that of Claude Code' },
  'permission-mode': {
    type: 'string',
    valueHint: 'mode',
    description: `What becomes of tool calls nobody has allowed: ${MODES.join(', ')}`,
  },
  'max-turns': { type: 'string', valueHint: 'n', description: 'Model requests at most' },
  'allowed-tools': { type: 'string', valueHint: 'names', description: 'Run without asking: Write,Bash(npm test:*)' },
  schema: { type: 'string', valueHint: 'file', description: 'JSON schema that the result must fit' },
  title: { type: 'string', valueHint: 'text', description: 'Shown in lists' },
  metadata: { type: 'string', valueHint: 'key=value', description: 'Kept with the session; may be repeated' },
} satisfies ArgsDef

const args = {
  prompt: { type: 'positional', required: false, description: 'The task; what is piped in follows it' },
  session: { type: 'string', valueHint: 'id', description: 'Go on with this session' },
  ...sessionArgs,
  ...clientArgs,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given, rawArgs }) {
    const { values, positionals } = readArgs(rawArgs, args, true)
    const client = clientOf(given)
    const old = given.session
    const alien = Object.keys(sessionArgs).find((name) => values.has(name))
    if (old !== undefined && alien !== undefined)
      throw new UsageError(`--${alien} belongs to a new session; ${old} keeps its own.`)
    const fields = newSession(values)
    const prompt = await promptOf(positionals)
    if (prompt === '') throw new UsageError('A prompt is missing: troupe run "What is in this folder?"')
    const screen = new Screen()
    using key = new InterruptKey((message) => screen.note(screen.paint.yellow(`  ${message}`)))
    const input = { type: 'user.message' as const, content: prompt }
    const json = given.json === true
    if (old === undefined) {
      const session = await client.sessions.create({ ...fields, initial_events: [input] })
      return await watchTurn(client, screen, key, { session, turnId: null, after: 0, json })
    }
    const session = await client.sessions.retrieve(old)
    const [event] = await client.events.send(old, [input])
    return await watchTurn(client, screen, key, { session, turnId: event!.turn_id, after: event!.seq - 1, json })
  },
})

/** The body of a create, from the options that were given. */
function newSession(values: Map<string, string[]>): NewSession {
  const last = (name: keyof typeof sessionArgs) => values.get(name)?.at(-1)
  const cwd = last('cwd')
  const maxTurns = last('max-turns')
  const mode = last('permission-mode') as PermissionMode | undefined
  if (mode !== undefined && !MODES.includes(mode))
    throw new UsageError(`--permission-mode takes ${MODES.join(', ')}; received ${JSON.stringify(mode)}.`)
  const tools = values.get('allowed-tools')?.flatMap(splitTools)
  const agent = {
    ...(last('model') !== undefined && { model: last('model') }),
    ...(last('system') !== undefined && { system: last('system') }),
    ...(mode !== undefined && { permission_mode: mode }),
    ...(tools && { allowed_tools: tools }),
  }
  const metadata = values.get('metadata')
  return {
    ...(Object.keys(agent).length > 0 && { agent: { type: 'inline' as const, ...agent } }),
    ...(cwd !== undefined && { cwd: resolve(cwd) }),
    ...(maxTurns !== undefined && { limits: { max_turns: wholeNumber('--max-turns', maxTurns, 1, 1000) } }),
    ...(last('schema') !== undefined && { output_schema: readSchema(last('schema')!) }),
    ...(last('title') !== undefined && { title: last('title') }),
    ...(metadata && { metadata: Object.fromEntries(metadata.map(pairOf)) }),
  }
}

/** The schema in a file. Throws `UsageError` where there is none. */
function readSchema(file: string): Record<string, unknown> {
  try {
    const schema: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof schema === 'object' && schema !== null && !Array.isArray(schema))
      return schema as Record<string, unknown>
  } catch (error) {
    throw new UsageError(`--schema ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
  throw new UsageError(`--schema ${file}: a JSON schema is an object.`)
}

/** At commas, but not those inside of a specifier: `Read,Bash(echo a,b)` are two. */
export function splitTools(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError(`--metadata takes key=value; received ${JSON.stringify(text)}.`)
  return [text.slice(0, at), text.slice(at + 1)]
}
