import type { ApiKey, CreateApiKey, ScopeName } from '@troupe/protocol/access'
import { type ArgsDef, defineCommand } from 'citty'
import { cleanLine } from '../clean.ts'
import { clientOf } from '../connect.ts'
import { EXIT, type ExitCode, UsageError } from '../exit.ts'
import { clientArgs, readArgs, wholeNumber } from '../flags.ts'
import { printJson } from '../json.ts'
import { paintFor } from '../paint.ts'
import { type Cell, table } from '../table.ts'
import { age } from '../words.ts'

const ACTIONS = ['list', 'create', 'rotate', 'revoke'] as const
type Action = (typeof ACTIONS)[number]

const args = {
  action: { type: 'positional', required: true, description: ACTIONS.join(', ') },
  id: { type: 'positional', required: false, description: 'The key, for rotate and revoke' },
  name: { type: 'string', valueHint: 'text', description: 'create: what the key is for' },
  scope: { type: 'string', valueHint: 'scope', description: 'create: what it may do; comma separated or repeated' },
  expires: { type: 'string', valueHint: 'time', description: 'create: RFC 3339, such as 2027-01-01T00:00:00Z' },
  policy: { type: 'string', valueHint: 'json', description: 'create: bounds, as in docs/api.md' },
  grace: { type: 'string', valueHint: 'seconds', description: 'rotate: how long the old secret is good too' },
  workspace: { type: 'string', valueHint: 'id', description: 'list, create: for operators; default: your own' },
  all: { type: 'boolean', alias: 'a', description: 'list: revoked ones too' },
  ...clientArgs,
} satisfies ArgsDef

/** Options that only some actions have; one given to another is a mistake and not passed over. */
const OF: Record<string, readonly Action[]> = {
  name: ['create'],
  scope: ['create'],
  expires: ['create'],
  policy: ['create'],
  grace: ['rotate'],
  workspace: ['list', 'create'],
  all: ['list'],
}

export const command = defineCommand({
  args,
  async run({ args: given, rawArgs }): Promise<ExitCode> {
    const { values } = readArgs(rawArgs, args)
    const action = ACTIONS.find((name) => name === given.action)
    if (!action)
      throw new UsageError(`troupe keys takes ${ACTIONS.join(', ')}; received ${JSON.stringify(given.action)}.`)
    for (const [option, actions] of Object.entries(OF))
      if ((given as Record<string, unknown>)[option] !== undefined && !actions.includes(action))
        throw new UsageError(
          `--${option} is an option of ${actions.map((name) => `"troupe keys ${name}"`).join(' and ')}.`,
        )
    const takesId = action === 'rotate' || action === 'revoke'
    if (takesId !== (given.id !== undefined))
      throw new UsageError(
        takesId ? `troupe keys ${action} needs the id of a key.` : `troupe keys ${action} takes no id.`,
      )
    const { keys } = clientOf(given)
    if (action === 'create') {
      const body = newKey(given, values.get('scope') ?? [])
      return showSecret(await keys.create(body), given.json)
    }
    if (action === 'rotate') {
      const seconds = given.grace === undefined ? undefined : wholeNumber('--grace', given.grace, 0, 7 * 86_400)
      return showSecret(
        await keys.rotate(given.id!, seconds === undefined ? {} : { grace_seconds: seconds }),
        given.json,
      )
    }
    if (action === 'revoke') {
      const key = await keys.revoke(given.id!)
      if (given.json) printJson(key)
      else process.stdout.write(`revoked ${key.id}\n`)
      return EXIT.done
    }
    const found: ApiKey[] = []
    for await (const key of keys.all({ include_revoked: given.all || undefined, workspace_id: given.workspace }))
      found.push(key)
    if (given.json) printJson({ data: found })
    else printTable(found)
    return EXIT.done
  },
})

function newKey(
  given: {
    name?: string | undefined
    workspace?: string | undefined
    expires?: string | undefined
    policy?: string | undefined
  },
  scopes: string[],
): CreateApiKey {
  if (given.name === undefined) throw new UsageError('troupe keys create needs a --name.')
  if (scopes.length === 0) throw new UsageError('troupe keys create needs a --scope, such as sessions:read.')
  return {
    name: given.name,
    // The server knows which there are, and says so.
    scopes: scopes.flatMap((text) => text.split(',')).map((text) => text.trim()) as ScopeName[],
    ...(given.workspace !== undefined && { workspace_id: given.workspace }),
    ...(given.expires !== undefined && { expires_at: given.expires }),
    ...(given.policy !== undefined && { policy: readPolicy(given.policy) }),
  }
}

function readPolicy(text: string): NonNullable<CreateApiKey['policy']> {
  try {
    return JSON.parse(text) as NonNullable<CreateApiKey['policy']>
  } catch {
    throw new UsageError(`--policy takes JSON, such as '{"max_turns": 20}'.`)
  }
}

/** The secret alone goes to stdout, for a script to keep; nobody can show it again. */
function showSecret(key: ApiKey, json: boolean | undefined): ExitCode {
  const lost = key.secret === null || key.secret === undefined
  if (json) printJson(key)
  else if (!lost) {
    process.stderr.write(`${key.id} (${cleanLine(key.name)}): its secret, shown this once\n`)
    process.stdout.write(`${key.secret}\n`)
  }
  if (!lost) return EXIT.done
  process.stderr.write(
    `✗ The answer with the secret of ${key.id} was lost on its way. Get another: troupe keys rotate ${key.id}\n`,
  )
  return EXIT.failed
}

function printTable(keys: ApiKey[]): void {
  if (keys.length === 0) return void process.stderr.write('There are no keys. "troupe keys create" makes one.\n')
  const paint = paintFor(process.stdout)
  const head: Cell[] = ['ID', 'STATUS', 'BEGINS', 'USED', 'SCOPES', 'NAME'].map((text) => ({ text, paint: paint.dim }))
  const rows = keys.map((key): Cell[] => [
    { text: key.id },
    { text: key.status, ...(key.status !== 'active' && { paint: paint.dim }) },
    { text: cleanLine(key.prefix) },
    { text: key.last_used_at === null ? 'never' : age(key.last_used_at) },
    { text: key.scopes.join(',') },
    { text: cleanLine(key.name) },
  ])
  process.stdout.write(`${table([head, ...rows]).join('\n')}\n`)
}
