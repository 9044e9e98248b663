import { parseSteps } from '@troupe/demo-model/step'
import { EVENT_TYPES } from '@troupe/protocol/event'
import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type App, startApp } from '../packages/server/src/app.ts'
import { CAPABILITIES } from '../packages/server/src/capabilities.ts'
import { ConfigSchema, envName, flagName, loadConfig } from '../packages/server/src/config.ts'

/** Documentation that can fail: what the documents show is run, and what they list is compared with the code. */

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const READMES = ['README.md', 'README.ja.md'] as const

/** Fenced blocks of one language, without their fences. */
const blocks = (path: string, language: string): string[] =>
  [...read(path).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, name, text]) =>
    name === language ? [text!] : [],
  )

/** Every line of every `sh` block; each is one curl. */
const curls = (path: string): string[] => blocks(path, 'sh').flatMap((text) => text.trimEnd().split('\n'))

/** The cells of the table under a heading row that begins with these words; without heading and rule. */
function tableAfter(path: string, firstHeading: string): string[][] {
  const lines = read(path).split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${firstHeading} |`))
  if (start < 0) throw new Error(`${path} has no table whose first heading is "${firstHeading}"`)
  const rows = lines.slice(start + 2)
  return rows
    .slice(
      0,
      rows.findIndex((line) => !line.startsWith('|')),
    )
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
}

const code = (text: string) => `\`${text}\``

describe('what the documents show', () => {
  let app: App
  let folder: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'troupe-docs-'))
    app = await startApp(
      loadConfig({
        flags: { port: 0, data_dir: 'data', demo_model: 'on', drain_seconds: 0, log_level: 'silent', max_running: 4 },
        env: { PATH: process.env.PATH, HOME: folder },
        cwd: folder,
      }),
    )
  })
  afterAll(async () => {
    await app?.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  })

  /** Runs one curl and answers what it printed; throws when it fails. */
  type Run = (command: string) => Promise<string>

  /** The same request without curl, for machines that have none. */
  const viaFetch: Run = async (command) => {
    const { url, method, headers, body } = requestOf(command)
    const response = await fetch(url, { method, headers, body })
    const text = await response.text()
    if (!response.ok) throw new Error(`${command}\n${response.status} ${text}`)
    return text
  }

  const hasCurl = spawnSync('curl', ['--version'], { stdio: 'ignore' }).status === 0
  const viaShell: Run = async (command) => {
    const words = command.replace(/^curl /, 'curl --silent --show-error --fail-with-body --max-time 90 ')
    const { status, output } = await finished('sh', ['-c', words], { no_proxy: '*' })
    if (status !== 0) throw new Error(`${command}\n${output}`)
    return output
  }

  async function finished(command: string, args: string[], env: NodeJS.ProcessEnv = {}) {
    const child = spawn(command, args, {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    return { status, output }
  }

  /** Runs a document's curls in order, with the id that the answer before gave where the placeholder stands. */
  async function runAll(path: string, run: Run): Promise<void> {
    const commands = curls(path)
    expect(commands.length).toBeGreaterThan(0)
    const ids = { XXXXXX: '', SESSION_ID: '' }
    for (const written of commands) {
      // The way it is written must be one that curl takes, whoever sends it here.
      const wanted = requestOf(written)
      const command = written
        .replaceAll('http://localhost:8000', app.url)
        .replaceAll('http://localhost:9000', app.demoModel!.url)
        .replaceAll('XXXXXX', ids.XXXXXX)
        .replaceAll('SESSION_ID', ids.SESSION_ID)
      let text = await run(command)
      const route = `${wanted.method} ${new URL(wanted.url).pathname.replace(/XXXXXX|SESSION_ID|[\da-f-]{36}/g, ':id')}`
      // The README says to ask until it has ended.
      if (route === 'GET /status/:id') text = await askUntilEnded(run, command, text)
      const promise = PROMISED[route]
      if (!promise) throw new Error(`${path}: no answer is promised for ${route}; add it to the test`)
      const answer = text.startsWith('retry:') ? framesOf(text) : (JSON.parse(text) as unknown)
      expect(answer, written).toMatchObject(promise(wanted) as object)
      const { session_id, id, type } = answer as unknown as Record<string, string | undefined>
      if (session_id !== undefined && route === 'POST /execute/') ids.XXXXXX = session_id
      if (id !== undefined && type === 'session') ids.SESSION_ID = id
    }
  }

  async function askUntilEnded(run: Run, command: string, first: string): Promise<string> {
    let text = first
    for (let ask = 0; /"status":"(pending|running)"/.test(text) && ask < 300; ask++) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      text = await run(command)
    }
    return text
  }

  const any = expect.anything() as unknown
  const has = (...items: unknown[]) => expect.arrayContaining(items) as unknown
  const like = (fields: object) => expect.objectContaining(fields) as unknown
  const text = (pattern: RegExp) => expect.stringMatching(pattern) as unknown

  /** What each request is answered with. */
  const PROMISED: Record<string, (request: Request) => unknown> = {
    'POST /execute/': ({ body }) => ({
      session_id: text(/^[0-9a-f-]{36}$/),
      status: 'pending',
      message: text(body.includes('resume_session_id') ? /resumed successfully$/ : /started successfully$/),
    }),
    'GET /status/:id': () => ({
      status: 'completed',
      messages: has(
        like({ type: 'SystemMessage' }),
        like({ type: 'AssistantMessage' }),
        like({ type: 'ResultMessage' }),
      ),
      result: { num_turns: 1, result: text(/demo model/) },
      error: null,
    }),
    'POST /cancel/:id': () => ({ status: 'cancelled', message: text(/cancelled successfully$/) }),
    'GET /sessions/': () => has(like({ status: 'cancelled', claude_session_id: any })),
    'DELETE /sessions/cleanup': () => ({ removed: 0, message: 'Cleaned up 0 old sessions' }),
    'GET /v1/approvals': () => ({ data: [like({ type: 'approval', status: 'pending', tool_name: 'Write' })] }),
    'POST /v1/sessions': ({ headers, body }) =>
      headers.prefer && body.includes('notes.txt')
        ? { status: 'idle', stop_reason: { type: 'requires_action' }, required_actions: [like({ tool_name: 'Write' })] }
        : headers.prefer
          ? {
              status: 'idle',
              stop_reason: { type: 'end_turn' },
              result: { text: text(/^(This is what I found|The subagent)/) },
            }
          : { type: 'session', id: text(/^sesn_/), last_error: null },
    'GET /v1/sessions/:id/context': () => ({ type: 'context_usage' }),
    'POST /v1/sessions/:id/compact': () => ({ data: has(like({ command: 'compact' })) }),
    'GET /v1/sessions/:id': ({ url }) =>
      url.includes('wait_for') ? { status: 'idle', stop_reason: { type: 'interrupted' } } : { type: 'session' },
    'POST /v1/sessions/:id': () => ({ type: 'session' }),
    'POST /v1/sessions/:id/events': ({ body }) => {
      const { events } = JSON.parse(body) as { events: { type: string }[] }
      return { data: events.map(({ type }) => ({ type, seq: any })) }
    },
    'GET /v1/sessions/:id/events': () => ({ data: has(like({ seq: any, type: any })) }),
    'GET /v1/sessions/:id/events/stream': ({ url }) =>
      url.includes('event_deltas')
        ? has(like({ type: 'event_delta' }), like({ type: 'session.status_idle' }))
        : has(
            like({ type: 'agent.tool_use', name: 'Write' }),
            like({ type: 'agent.tool_result', is_error: false }),
            like({ type: 'session.status_idle', stop_reason: { type: 'end_turn' } }),
          ),
    'GET /v1/sessions/:id/turns': () => ({ data: has(like({ type: 'turn', number: 1 })) }),
    'GET /v1/queue': () => ({ type: 'queue', depth: any, slots: any, data: any }),
    'GET /v1/usage': () => ({ totals: { type: 'usage_totals' }, next_page: null }),
    'GET /v1/sessions/:id/threads': () => ({ data: has(like({ parent_thread_id: null }), like({ description: any })) }),
    'GET /v1/sessions': () => ({ data: has(like({ type: 'session' })) }),
    'POST /v1/agents': () => ({ type: 'agent', version: 1 }),
    'GET /v1/agents': () => ({ data: has(like({ type: 'agent' })) }),
    'POST /v1/webhook_endpoints': () => ({ type: 'webhook_endpoint', status: 'enabled', secret: text(/^whsec_/) }),
    'GET /v1/webhook_endpoints': () => ({ data: has(like({ type: 'webhook_endpoint' })) }),
    'PUT /_demo/scripts/:id': () => ({ steps: any }),
    'GET /_demo/requests': () => ({ data: any }),
    'DELETE /_demo/scripts/:id': () => ({ deleted: true }),
    'DELETE /_demo/requests': () => ({ data: [] }),
  }

  test.concurrent('Q1 the commands of README.md work as they are written, in order', () =>
    runAll('README.md', viaFetch))

  test.concurrent('Q1 the commands of README.ja.md work as they are written, in a shell with curl', () =>
    runAll('README.ja.md', hasCurl ? viaShell : viaFetch))

  test('Q1 both READMEs show the same commands and the same program', () => {
    expect(curls('README.ja.md')).toEqual(curls('README.md'))
    expect(blocks('README.ja.md', 'ts')).toEqual(blocks('README.md', 'ts'))
    expect(cliLines('README.ja.md')).toEqual(cliLines('README.md'))
  })

  test.concurrent.each(['docs/api.md', 'docs/demo-model.md'])(
    'Q1 the commands of %s work as they are written',
    (path) => runAll(path, hasCurl ? viaShell : viaFetch),
  )

  test('the route table of docs/api.md has every route of the API, and no other', async () => {
    const document = (await (await fetch(`${app.url}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, { tags: string[] }>>
    }
    const short = (method: string, path: string) => `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { tags }]) => !tags.includes('Origin API'))
        .map(([method]) => short(method.toUpperCase(), path)),
    )
    const shown = tableAfter('docs/api.md', 'Resource').flatMap(([, cell]) =>
      [...cell!.matchAll(/`((?:[A-Z]+ )+)(\/[^`]*)`/g)].flatMap(([, methods, path]) =>
        methods!
          .trim()
          .split(' ')
          .map((method) => short(method, path!)),
      ),
    )
    const aside = ['GET /metrics', 'GET /openapi.json', 'GET /docs']
    expect(shown.toSorted()).toEqual([...routes, ...aside].toSorted())
  })

  test('Q2 the program of the README runs with the official SDK, and fits its types', async () => {
    const [program] = blocks('README.md', 'ts')
    const home = join(folder, 'program')
    mkdirSync(join(home, 'node_modules', '@anthropic-ai'), { recursive: true })
    symlinkSync(join(root, 'node_modules', 'anthropic-sdk-1.12'), join(home, 'node_modules', '@anthropic-ai', 'sdk'))
    writeFileSync(join(home, 'package.json'), '{"type":"module"}')
    writeFileSync(join(home, 'program.ts'), program!.replaceAll('http://localhost:8000', app.url))
    const typeRoots = ['--typeRoots', join(root, 'node_modules', '@types')]
    const options = '--noEmit --strict --module nodenext --target es2024 --types node --skipLibCheck'.split(' ')
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    expect(await finished(process.execPath, [tsc, ...options, ...typeRoots, join(home, 'program.ts')])).toEqual({
      status: 0,
      output: '',
    })
    const { status, output } = await finished(process.execPath, [join(home, 'program.ts')])
    expect(output).toMatch(/I will look around\.[\s\S]*Bash \{[\s\S]*This is what I found:/)
    expect(status).toBe(0)
  })

  const cliLines = (path: string) => read(path).match(/^npx troupe .*$/gm) ?? []

  test('Q3 the commands of the CLI that the README shows work', async () => {
    let id = ''
    for (const line of cliLines('README.md')) {
      const words = shellWords(line.replaceAll('SESSION_ID', id)).slice(2)
      const { status, output } = await finished(
        process.execPath,
        [join(root, 'packages/cli/bin/troupe.mjs'), ...words],
        { TROUPE_URL: app.url, ...(words[0] === 'doctor' && { TROUPE_PORT: '0', TROUPE_URL: undefined }) },
      )
      expect(status, `${line}\n${output}`).toBe(0)
      id ||= /sesn_\w+/.exec(output)?.[0] ?? ''
    }
    expect(id).not.toBe('')
  })
})

describe('what the documents list', () => {
  test('the configuration tables are those of the code', () => {
    const WORDS = {
      'README.md': { heading: 'Flag', unset: 'unset', none: 'none', computed: 'computed' },
      'README.ja.md': { heading: 'フラグ', unset: '未設定', none: 'なし', computed: '自動' },
    }
    for (const path of READMES) {
      const { heading, unset, none, computed } = WORDS[path]
      const shownDefault = (setting: string, value: unknown) => {
        if (setting === 'max_running' || setting === 'max_memory_mb') return computed
        if (value === null) return unset
        return Array.isArray(value) && value.length === 0 ? none : code(String(value))
      }
      const expected = Object.entries(ConfigSchema.shape).map(([setting, schema]) => [
        code(flagName(setting)),
        code(envName(setting)),
        shownDefault(setting, schema.def.defaultValue),
      ])
      const table = tableAfter(path, heading)
      expect(
        table.map((row) => row.slice(0, 3)),
        path,
      ).toEqual(expected)
      const meanings = Object.values(ConfigSchema.shape).map(({ description }) => description)
      if (path === 'README.md') expect(table.map((row) => row[3])).toEqual(meanings)
    }
  })

  test('the capability tables are those of the code, and every yes is shown by a test', () => {
    const WORDS = {
      'README.md': { heading: 'Capability', yes: 'yes', 'not yet': 'not yet' },
      'README.ja.md': { heading: '機能', yes: 'あり', 'not yet': '未対応' },
    }
    for (const path of READMES) {
      const words = WORDS[path]
      const table = tableAfter(path, words.heading)
      const expected = CAPABILITIES.map(({ id, status }) => [code(id), words[status]])
      expect(
        table.map(([id, , status]) => [id, status]),
        path,
      ).toEqual(expected)
      for (const [id, , status, shownBy] of table) {
        const links = [...(shownBy ?? '').matchAll(/\[(\w+)\]\(([^)]+)\)/g)]
        expect(links.length > 0, `${path}: ${id} has the right number of links`).toBe(status === words.yes)
        for (const [, rule, file] of links)
          expect(rulesOf(read(file!)), `${path}: ${id}: ${file} has a test of ${rule}`).toContain(rule)
      }
    }
  })

  test('the event table of docs/api.md is EVENT_TYPES', () => {
    const rows = tableAfter('docs/api.md', 'Type').map(([type, what]) => [type, what])
    expect(rows).toEqual(Object.entries(EVENT_TYPES).map(([type, what]) => [code(type), what]))
  })

  test('the script of docs/demo-model.md, and those in its commands, can be played', () => {
    const path = 'docs/demo-model.md'
    const scripts = [...blocks(path, 'script'), ...curls(path).flatMap((command) => requestOf(command).body ?? [])]
    expect(scripts.map((script) => parseSteps(JSON.parse(script)).length)).toEqual([2, 1])
    const fields = tableAfter(path, 'Field').map(([field]) => field!.replaceAll('`', ''))
    const source = /export interface Step \{([\s\S]*?)^\}/m.exec(read('packages/demo-model/src/step.ts'))![1]!
    expect(fields).toEqual([...source.matchAll(/^  (\w+)\?:/gm)].map(([, field]) => field))
  })

  test('every link of every document leads somewhere', () => {
    const documents = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
      (path) => path.endsWith('.md') && !/(^|\/)(node_modules|\.\w+|artifacts)\//.test(path),
    )
    expect(documents).toEqual(expect.arrayContaining(['README.md', 'docs/api.md']))
    const broken = documents.flatMap((path) => {
      const prose = read(path).replaceAll(/^```[\s\S]*?^```$/gm, '')
      return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link]) => {
        if (/^[a-z]+:/.test(link!)) return []
        const [file, anchor] = link!.split('#') as [string, string | undefined]
        const target = file === '' ? path : join(dirname(path), decodeURIComponent(file))
        if (!existsSync(join(root, target))) return [`${path}: ${link}`]
        const found = anchor === undefined || anchorsOf(read(target)).includes(decodeURIComponent(anchor))
        return found ? [] : [`${path}: ${link}`]
      })
    })
    expect(broken).toEqual([])
  })
})

describe('SPEC.md', () => {
  const specified = (): string[] => {
    if (!existsSync(join(root, 'SPEC.md'))) throw new Error('SPEC.md is missing: it lists the rules that tests show')
    return [...read('SPEC.md').matchAll(/^- \*\*([A-Z]+\d+)\*\* \S/gm)].map(([, rule]) => rule!)
  }
  const shown = (): Map<string, string> => {
    const folders = readdirSync(join(root, 'packages')).map((name) => `packages/${name}/test`)
    const files = [...folders, 'test'].flatMap((path) =>
      existsSync(join(root, path))
        ? readdirSync(join(root, path), { recursive: true, encoding: 'utf8' })
            .filter((name) => name.endsWith('.ts'))
            .map((name) => `${path}/${name}`)
        : [],
    )
    return new Map(files.flatMap((path) => rulesOf(read(path)).map((rule) => [rule, path] as const)))
  }

  test('docs/security.md names rules that there are, for each threat', () => {
    const known = new Set([...read('SPEC.md').matchAll(/^- \*\*([A-Z]+\d+)\*\* \S/gm)].map(([, rule]) => rule!))
    const threats = [...read('docs/security.md').matchAll(/^\| .+ \| .+ \| ((?:[A-Z]+\d+ ?)+)\|$/gm)].map(([, rules]) =>
      rules!.trim().split(' '),
    )
    // A row without rules would be a threat that nothing is shown to stand against.
    expect(threats.length).toBe(tableAfter('docs/security.md', 'Threat').length)
    expect(threats.flat().filter((rule) => !known.has(rule))).toEqual([])
  })

  test('gives every rule one number', () => {
    const rules = specified()
    expect(rules.length).toBeGreaterThan(50)
    expect(rules.filter((rule, index) => rules.indexOf(rule) !== index)).toEqual([])
  })

  test('has no rule without a test', () => {
    const tested = shown()
    expect(specified().filter((rule) => !tested.has(rule))).toEqual([])
  })

  test('has every rule that a test names', () => {
    const rules = specified()
    expect([...shown()].filter(([rule]) => !rules.includes(rule))).toEqual([])
  })
})

interface Request {
  method: string
  url: string
  headers: Record<string, string>
  body: string
}

/** What a curl would send. Throws for what this small reader, or curl itself, would not take. */
function requestOf(command: string): Request & { body: string } {
  const [program, ...words] = shellWords(command)
  if (program !== 'curl') throw new Error(`not a curl: ${command}`)
  const request: Request = { method: '', url: '', headers: {}, body: '' }
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!
    const value = () => words[++index] ?? ''
    if (word === '-X') request.method = value()
    else if (word === '-d') request.body = value()
    else if (word === '-H') {
      const [name, ...rest] = value().split(':')
      request.headers[name!.trim().toLowerCase()] = rest.join(':').trim()
    } else if (word === '-N' || word === '-g') continue
    else if (word.startsWith('http://') && request.url === '') request.url = word
    else throw new Error(`${JSON.stringify(word)} is not understood in: ${command}`)
  }
  if (/[[\]{}]/.test(request.url) && !words.includes('-g'))
    throw new Error(`curl expands [] and {}; use -g: ${command}`)
  request.method ||= request.body === '' ? 'GET' : 'POST'
  return { ...request, body: (request.body === '' ? undefined : request.body) as string }
}

/** Words as a shell reads them, without variables and other magic. */
function shellWords(command: string): string[] {
  const words = command.match(/(?:'[^']*'|"[^"$`\\]*"|[^\s'"])+/g) ?? []
  return words.map((word) => {
    if (!/['"]/.test(word) && /[&;|<>*?$`\\]/.test(word))
      throw new Error(`a shell would not take ${word} unquoted: ${command}`)
    return word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_all, single?: string, double?: string) => single ?? double ?? '')
  })
}

/** The events of a stream that has ended. */
const framesOf = (text: string): unknown[] =>
  [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as unknown)

/** Numbers of rules with which the names of tests begin. */
const rulesOf = (source: string): string[] =>
  [...source.matchAll(/\(\s*(?:'|"|`)([A-Z]+\d+) /g)].map(([, rule]) => rule!)

/** Headings as GitHub links to them. */
const anchorsOf = (markdown: string): string[] =>
  [...markdown.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  )
