import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/** Arrows point one way: what each folder may import, read from the sources themselves. */

const root = fileURLToPath(new URL('..', import.meta.url))

interface Import {
  /** The importing file, from the repository's root, and the line. */
  file: string
  line: number
  /** A package's name, or a file of ours from the repository's root without its ending. */
  target: string
  /** Whether only types are taken, so that nothing is left of it at run time. */
  typeOnly: boolean
}

const STATEMENT =
  /^(?:import|export)\s+(type\s+)?(?:([\w$*{},\s]+?)\s+from\s+)?'([^']+)'|\bimport\('([^']+)'\)(\.\w+)?|\brequire\('([^']+)'\)/gm

/** Comments go, lines stay. */
const withoutComments = (text: string) =>
  text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|[\s;{(,])\/\/[^\n]*/gm, (comment) => comment.replaceAll(/[^\n]/g, ' '))

function readImports(file: string, text: string): Import[] {
  const source = withoutComments(text)
  return [...source.matchAll(STATEMENT)].map((match) => {
    const [, type, names, from, loaded, member, required] = match
    const specifier = from ?? loaded ?? required!
    const named = names && /^\{([\s\S]*)\}$/.exec(names)?.[1]
    const allTypes = named
      ?.split(',')
      .map((name) => name.trim())
      .filter(Boolean)
      .every((name) => name.startsWith('type '))
    // `import('fastify').FastifyReply` is a type; `await import('fastify')` is not.
    const inType = loaded !== undefined && member !== undefined && member !== '.then'
    return {
      file,
      line: source.slice(0, match.index).split('\n').length,
      target: resolve(file, specifier),
      typeOnly: type !== undefined || allTypes === true || inType,
    }
  })
}

function resolve(file: string, specifier: string): string {
  if (specifier.startsWith('.')) return join(dirname(file), specifier).replace(/\.(tsx?|mjs)$/, '')
  const ours = /^@troupe\/([\w-]+)(?:\/(.*))?$/.exec(specifier)
  if (ours) return ours[2] === undefined ? `packages/${ours[1]}` : `packages/${ours[1]}/src/${ours[2]}`
  return specifier
}

const files = new Map(
  readdirSync(join(root, 'packages')).flatMap((name) =>
    readdirSync(join(root, 'packages', name), { recursive: true, encoding: 'utf8' })
      .filter((path) => /^src\/.*\.tsx?$/.test(path))
      .map((path) => {
        const file = `packages/${name}/${path}`
        return [file, readFileSync(join(root, file), 'utf8')] as const
      }),
  ),
)
const imports = [...files].flatMap(([file, text]) => readImports(file, text))
const shown = ({ file, line, target }: Import) => `${file}:${line} imports ${target}`

const isOurs = (target: string) => target.startsWith('packages/')
const within = (target: string, folder: string) => target === folder || target.startsWith(`${folder}/`)

/** What is imported from a folder, but to itself or by what is allowed. */
const strays = (folder: string, allowed: (found: Import) => boolean) =>
  imports
    .filter(({ file, target }) => within(file, folder) && !within(target, folder))
    .filter((found) => !allowed(found))
    .map(shown)

const from =
  (...targets: string[]) =>
  ({ target }: Import) =>
    targets.some((allowed) => within(target, allowed))

const PROTOCOL = 'packages/protocol/src'
const SERVER = 'packages/server/src'

test('the reader of imports finds them all', () => {
  expect(files.size).toBeGreaterThan(80)
  const missed = imports.filter(({ target }) => isOurs(target) && !target.endsWith('.json'))
  expect(missed.filter(({ target }) => !files.has(`${target}.ts`) && !files.has(`${target}.tsx`)).map(shown)).toEqual(
    [],
  )
  const text = [
    "import { a, type B } from 'one'",
    "import { type C } from 'two'",
    "// import no from 'comment'",
    "import type { D } from 'three'",
    "import {\n  e,\n} from 'four'",
    "import 'five'",
    "export { f } from 'six'",
    "const g = await import('seven')",
    "let h: import('eight').H",
  ].join('\n')
  expect(readImports('packages/x/src/y.ts', text).map(({ target, typeOnly }) => `${target} ${typeOnly}`)).toEqual([
    'one false',
    'two true',
    'three true',
    'four false',
    'five false',
    'six false',
    'seven false',
    'eight true',
  ])
})

describe('packages', () => {
  test('protocol imports only zod', () => {
    expect(strays('packages/protocol/src', from('zod'))).toEqual([])
  })

  test('client imports only protocol and eventsource-parser', () => {
    expect(strays('packages/client/src', from(PROTOCOL, 'eventsource-parser'))).toEqual([])
  })

  test('demo-model imports only what Node has', () => {
    expect(strays('packages/demo-model/src', ({ target }) => isBuiltin(target))).toEqual([])
  })

  test('server imports no package of ours but protocol and the demo model', () => {
    const allowed = from(PROTOCOL, 'packages/demo-model/src', 'packages/server/package.json')
    expect(strays(SERVER, (found) => !isOurs(found.target) || allowed(found))).toEqual([])
  })

  test('the console, like every client, knows the server only by protocol and client', () => {
    const allowed = from(PROTOCOL, 'packages/client/src')
    expect(strays('packages/console/src', (found) => !isOurs(found.target) || allowed(found))).toEqual([])
  })

  test('of the CLI only what runs on the server machine imports the server', () => {
    const CLI = 'packages/cli/src'
    const LOCAL = new Set([
      'commands/serve',
      'commands/doctor',
      'commands/backup',
      'commands/restore',
      'commands/config',
      'server-flags',
      'doctor-checks',
    ])
    const found = imports
      .filter(({ file, target }) => within(file, CLI) && within(target, SERVER))
      .filter(({ file }) => !LOCAL.has(relative(CLI, file).replace(/\.ts$/, '')))
    expect(found.map(shown)).toEqual([])
  })

  test('nothing imports the CLI', () => {
    const found = imports.filter(({ file, target }) => within(target, 'packages/cli') && !within(file, 'packages/cli'))
    expect(found.map(shown)).toEqual([])
  })
})

describe('folders of the server', () => {
  /**
   * What each folder may import of ours, besides itself; `types` only as types, `packages` beside the server. Protocol
   * and lib are for all but lib.
   */
  const FOLDERS: Record<string, { all: string[]; types?: string[]; packages?: string[] }> = {
    lib: { all: [] },
    store: { all: [] },
    log: { all: ['store'] },
    webhooks: { all: ['log', 'store'] },
    files: { all: ['store'] },
    repositories: { all: ['store'] },
    audit: { all: ['log', 'store'] },
    skills: { all: ['store'] },
    environments: { all: ['store', 'agents'] },
    metrics: { all: ['log', 'store'] },
    tracing: { all: ['store'], types: ['log'] },
    access: { all: ['sessions', 'log', 'store'] },
    proxy: { all: ['agents', 'environments'] },
    agents: { all: ['store'] },
    snapshots: { all: ['store'] },
    sessions: { all: ['log', 'store', 'tracing', 'agents', 'environments', 'snapshots', 'files', 'repositories'] },
    deployments: { all: ['sessions', 'agents', 'environments', 'store'] },
    runner: {
      all: ['sessions', 'log', 'store', 'agents', 'environments', 'proxy', 'skills', 'snapshots', 'repositories'],
    },
    http: {
      all: [
        'sessions',
        'deployments',
        'agents',
        'environments',
        'files',
        'skills',
        'webhooks',
        'access',
        'audit',
        'tracing',
        'log',
        'capabilities',
      ],
      types: ['store', 'metrics'],
    },
    start: {
      all: [
        'sessions',
        'runner',
        'agents',
        'environments',
        'files',
        'proxy',
        'repositories',
        'snapshots',
        'webhooks',
        'audit',
        'tracing',
        'log',
        'store',
        'config',
      ],
      packages: ['demo-model'],
    },
  }
  /** Values that may be imported where otherwise only types are: a class of errors is known by `instanceof`. */
  const EXCEPTIONS = [`${SERVER}/http/errors.ts ${SERVER}/store/errors`]

  test('every folder has its rule', () => {
    const folders = [...files.keys()].flatMap((file) => /^packages\/server\/src\/([^/]+)\//.exec(file)?.[1] ?? [])
    expect([...new Set(folders)].filter((folder) => !(folder in FOLDERS) && folder !== 'facades')).toEqual([])
  })

  test.each(Object.entries(FOLDERS))('%s imports only what stands below it', (folder, rule) => {
    const { all, types = [], packages = [] } = rule
    const common = folder === 'lib' ? [] : [PROTOCOL, `${SERVER}/lib`]
    const beside = packages.map((name) => `packages/${name}/src`)
    const allowed = from(...common, ...beside, ...all.map((name) => `${SERVER}/${name}`))
    const asTypes = from(...types.map((name) => `${SERVER}/${name}`))
    const found = strays(`${SERVER}/${folder}`, (each) => {
      if (!isOurs(each.target) || allowed(each)) return true
      return asTypes(each) && (each.typeOnly || EXCEPTIONS.includes(`${each.file} ${each.target}`))
    })
    expect(found).toEqual([])
  })

  test('http writes what webhooks are to do, and never calls who does it', () => {
    const found = imports.filter(
      ({ file, target }) =>
        within(file, `${SERVER}/http`) && /webhooks\/(deliverer|fan-out|attempt|send)$/.test(target),
    )
    expect(found.map(shown)).toEqual([])
  })

  test('config imports nothing of ours but lib', () => {
    const found = imports.filter(
      ({ file, target }) => file === `${SERVER}/config.ts` && isOurs(target) && !within(target, `${SERVER}/lib`),
    )
    expect(found.map(shown)).toEqual([])
  })

  test('no files import each other in a circle', () => {
    const edges = new Map<string, string[]>()
    for (const { file, target, typeOnly } of imports)
      if (!typeOnly && isOurs(target))
        edges.set(file, [...(edges.get(file) ?? []), files.has(`${target}.tsx`) ? `${target}.tsx` : `${target}.ts`])
    const done = new Set<string>()
    const circles: string[] = []
    const visit = (file: string, path: string[]) => {
      if (path.includes(file)) return void circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
      if (done.has(file)) return
      for (const next of edges.get(file) ?? []) visit(next, [...path, file])
      done.add(file)
    }
    for (const file of files.keys()) visit(file, [])
    expect(circles).toEqual([])
  })
})

describe('only one place', () => {
  const AGENT_SDK = '@anthropic-ai/claude-agent-sdk'

  /** Lines of the server that match, outside of where they belong. */
  const lines = (pattern: RegExp, isHome: (file: string) => boolean) =>
    [...files]
      .filter(([file]) => within(file, SERVER) && !isHome(file))
      .flatMap(([file, text]) =>
        withoutComments(text)
          .split('\n')
          .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
      )

  test('runner/agent-process calls the Agent SDK, and only the runner knows its types', () => {
    const users = imports.filter(({ target }) => within(target, AGENT_SDK))
    expect(users.filter(({ typeOnly }) => !typeOnly).map(({ file }) => file)).toEqual([
      `${SERVER}/runner/agent-process.ts`,
    ])
    expect(users.filter(({ file }) => !within(file, `${SERVER}/runner`)).map(shown)).toEqual([])
  })

  test('config reads the environment', () => {
    const home = new Set([`${SERVER}/config.ts`, `${SERVER}/main.ts`])
    expect(lines(/\bprocess\.env\b/, (file) => home.has(file))).toEqual([])
    for (const name of ['protocol', 'client', 'demo-model'])
      expect([...files].filter(([file, text]) => file.includes(`/${name}/`) && /process\.env\b/.test(text))).toEqual([])
  })

  test('store holds the SQL', () => {
    const databases = imports.filter(({ target }) => ['better-sqlite3', 'kysely', 'node:sqlite', 'pg'].includes(target))
    expect(databases.filter(({ file }) => !within(file, `${SERVER}/store`)).map(shown)).toEqual([])
    const sql =
      /['"`]\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|pragma\s|begin\s+(immediate|exclusive)|create\s+(table|index)\s)/i
    expect(lines(sql, (file) => within(file, `${SERVER}/store`))).toEqual([])
  })

  test('http knows the web framework', () => {
    const web = ({ target }: Import) => /^(fastify($|-)|@fastify\/|@scalar\/fastify)/.test(target)
    expect(imports.filter((found) => web(found) && !within(found.file, `${SERVER}/http`)).map(shown)).toEqual([])
  })
})
