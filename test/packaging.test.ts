import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { ConfigSchema, envName } from '../packages/server/src/config.ts'

/** What is in packaging/ is read as its tools read it, and run as far as that goes without them. */

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (name: string) => readFileSync(join(root, 'packaging', name), 'utf8')

/** The instructions of the last stage, and how it was told to be built. */
function dockerfile() {
  const lines = read('Dockerfile')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
  const instructions = lines.map((line) => {
    const match = /^(FROM|WORKDIR|COPY|RUN|ENV|USER|VOLUME|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD) (.+)$/.exec(line)
    if (!match) throw new Error(`not an instruction: ${line}`)
    return { name: match[1]!, text: match[2]! }
  })
  const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))
  const all = (name: string) => last.filter((entry) => entry.name === name).map(({ text }) => text)
  const json = (text: string) => JSON.parse(text.slice(text.indexOf('['))) as string[]
  const env = Object.fromEntries(
    all('ENV').flatMap((text) => text.split(' ').map((pair) => pair.split('='))),
  ) as Record<string, string>
  return { last, all, json, env }
}

/** Only what compose.yaml uses of YAML: block maps, lists of quoted texts, `{}`. Throws for anything else. */
function parseYaml(text: string): unknown {
  const lines = text
    .split('\n')
    .filter((line) => !/^\s*(#.*)?$/.test(line))
    .map((line) => ({ indent: line.length - line.trimStart().length, text: line.trim() }))
  let at = 0
  const scalar = (value: string): unknown => {
    if (value === '{}') return {}
    if (/^'[^']*'$/.test(value)) return value.slice(1, -1)
    if (/^[\w./-]+$/.test(value) && !/^(true|false|null|yes|no|on|off|[\d.]*\d[\d.]*)$/i.test(value)) return value
    throw new Error(`not understood: ${value}`)
  }
  const block = (indent: number): unknown => {
    if (lines[at]!.text.startsWith('- ')) {
      const list: unknown[] = []
      while (lines[at]?.indent === indent) list.push(scalar(lines[at++]!.text.slice(2)))
      return list
    }
    const map: Record<string, unknown> = {}
    while (lines[at]?.indent === indent) {
      const match = /^(\w+):(?: (.+))?$/.exec(lines[at++]!.text)
      if (!match || (match[1] as string) in map) throw new Error(`not understood: ${lines[at - 1]!.text}`)
      if (match[2] !== undefined) map[match[1]!] = scalar(match[2])
      else if ((lines[at]?.indent ?? -1) > indent) map[match[1]!] = block(lines[at]!.indent)
      else throw new Error(`nothing under ${match[1]}`)
    }
    if ((lines[at]?.indent ?? -1) > indent) throw new Error(`indented too far: ${lines[at]!.text}`)
    return map
  }
  return block(0)
}

const drainSeconds = ConfigSchema.shape.drain_seconds.def.defaultValue

test('PK2 the image runs as nobody special, under an init, with a probe, and holds no secret', () => {
  const { last, all, json, env } = dockerfile()
  expect(all('USER')).toEqual(['node'])
  expect(last.findIndex(({ name }) => name === 'USER')).toBeGreaterThan(
    last.findLastIndex(({ name }) => name === 'RUN' || name === 'COPY'),
  )
  expect(json(all('ENTRYPOINT')[0]!).slice(0, 2)).toEqual(['tini', '--'])
  expect(all('RUN').join()).toMatch(/ tini\b/)
  expect(all('HEALTHCHECK')).toHaveLength(1)
  expect(all('VOLUME')).toEqual([env.TROUPE_DATA_DIR])
  expect(all('EXPOSE')).toEqual([env.TROUPE_PORT])
  expect(env).toMatchObject({ NODE_ENV: 'production', TROUPE_HOST: '0.0.0.0', TROUPE_AUTH: 'on' })
  const settings = new Set(Object.keys(ConfigSchema.shape).map(envName))
  expect(Object.keys(env).filter((name) => !['HOME', 'NODE_ENV'].includes(name) && !settings.has(name))).toEqual([])
  const ignored = read('Dockerfile.dockerignore').trim().split('\n')
  expect(ignored[0]).toBe('**')
  expect(ignored).toEqual(expect.arrayContaining(['**/.env', '**/.troupe', '**/node_modules', '**/dist']))
  for (const kept of ignored.filter((line) => line.startsWith('!')))
    expect(existsSync(join(root, kept.slice(1))), kept).toBe(true)
})

test('PK3 what the image holds is enough: its command serves, answers its probe, and ends when told to', async () => {
  const { all, json, env } = dockerfile()
  expect(
    spawnSync(process.execPath, [join(root, 'scripts', 'build.mjs')], { cwd: root, encoding: 'utf8' }),
  ).toMatchObject({
    status: 0,
  })
  const folder = mkdtempSync(join(tmpdir(), 'troupe-image-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  for (const text of all('COPY')) {
    const words = text.split(' ').filter((word) => !word.startsWith('--'))
    const target = words.pop()!
    for (const word of words) {
      const path = word.replace('/app/', '')
      const place = join(folder, target.endsWith('/') ? join(target, path) : target)
      mkdirSync(dirname(place), { recursive: true })
      if (path === 'node_modules') symlinkSync(join(root, path), place)
      else cpSync(join(root, path), place, { recursive: true, preserveTimestamps: true })
    }
  }
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const port = String((free.address() as AddressInfo).port)
  free.close()
  // All as written, but for the folder, and an address that nobody else reaches.
  const vars = {
    ...env,
    PATH: process.env.PATH,
    HOME: folder,
    TROUPE_DATA_DIR: join(folder, 'data'),
    TROUPE_PORT: port,
    TROUPE_HOST: '127.0.0.1',
  }
  const [, , , ...words] = json(all('ENTRYPOINT')[0]!)
  const server = spawn(process.execPath, [...words, ...json(all('CMD')[0]!)], { cwd: folder, env: vars, stdio: 'pipe' })
  onTestFinished(() => void server.kill('SIGKILL'))
  const ended = once(server, 'exit')
  let output = ''
  const { promise: serving, resolve, reject } = Promise.withResolvers<void>()
  for (const stream of [server.stdout, server.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (output.includes('"msg":"serving"')) resolve()
    })
  void ended.then(() => reject(new Error(output)))
  await serving
  expect(output).toMatch(/first key, shown this once/)
  const [program, ...probe] = json(all('HEALTHCHECK')[0]!)
  expect(program).toBe('node')
  expect(spawnSync(process.execPath, probe, { env: vars }).status).toBe(0)
  expect(spawnSync(process.execPath, probe, { env: { ...vars, TROUPE_PORT: '1' } }).status).toBe(1)
  server.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
})

test('PK4 compose.yaml builds that image, keeps its data, and lets turns end', () => {
  const { env } = dockerfile()
  const compose = parseYaml(read('compose.yaml')) as {
    services: Record<'troupe', Record<string, never> & { build: { context: string; dockerfile: string } }>
    volumes: Record<string, unknown>
  }
  const { troupe } = compose.services
  expect(Object.keys(compose)).toEqual(['services', 'volumes'])
  expect(existsSync(join(root, 'packaging', troupe.build.context, troupe.build.dockerfile))).toBe(true)
  expect(troupe).toMatchObject({
    ports: [`127.0.0.1:8000:${env.TROUPE_PORT}`],
    volumes: [`data:${env.TROUPE_DATA_DIR}`],
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    environment: { ANTHROPIC_API_KEY: expect.stringMatching(/^\$\{ANTHROPIC_API_KEY:\?/) },
  })
  expect(Object.keys(compose.volumes)).toEqual(['data'])
  expect(parseInt(String(troupe.stop_grace_period), 10)).toBeGreaterThan(drainSeconds)
  expect(() => parseYaml('a:\n\tb')).toThrow('not')
})

const hasSystemd = spawnSync('systemd-analyze', ['--version'], { stdio: 'ignore' }).status === 0

// Without it the test is skipped and named; in CI it is there.
test.skipIf(!hasSystemd && !process.env.CI)('PK5 the unit of systemd is one, as systemd-analyze sees it', () => {
  const { status, stdout, stderr } = spawnSync(
    'systemd-analyze',
    ['verify', '--man=no', join(root, 'packaging', 'troupe.service')],
    { encoding: 'utf8', timeout: 30_000 },
  )
  expect([status, stdout, stderr.split('\n').filter((line) => line.includes('troupe'))]).toEqual([0, '', []])
  const unit = read('troupe.service')
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1]
  expect(Number(value('TimeoutStopSec'))).toBeGreaterThan(drainSeconds)
  expect([value('KillMode'), value('User'), value('OOMPolicy')]).toEqual(['mixed', 'troupe', 'continue'])
  expect(value('ExecStart')).toMatch(/^\/usr\/bin\/env node packages\/cli\/bin\/troupe\.mjs serve$/)
})
