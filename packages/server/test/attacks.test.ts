import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { serverLogger } from '../src/lib/server-logger.ts'
import { type TestServer, testServer } from './support/server.ts'

const ESC = String.fromCharCode(27)
/** What a terminal obeys, and what turns the order of what is read. */
const OBEYED = new RegExp(`[${ESC}\\u0007\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]`)

describe('attacks on a server', () => {
  let server: TestServer
  let log = ''
  beforeAll(async () => {
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        log += chunk.toString()
        done()
      },
    })
    server = await testServer({ log_level: 'debug' }, { logger: serverLogger('debug', 'lines', sink) })
    writeFileSync(join(server.folder, 'canary.txt'), 'canary of the folder above')
  })
  afterAll(() => server.stop())

  /** Sends bytes as they are, with a request behind them that ends the connection, and answers with all that came. */
  async function raw(bytes: string): Promise<string> {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    let answer = ''
    socket.setEncoding('latin1').on('data', (text: string) => (answer += text))
    socket.on('error', () => undefined)
    const closes = bytes.includes('Connection: close')
    // One that was taken for the beginning of a longer one is not waited for.
    if (!closes) socket.setTimeout(5_000, () => socket.destroy())
    const last = closes ? '' : 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
    socket.write(Buffer.from(bytes + last, 'latin1'))
    await once(socket, 'close')
    return answer
  }
  const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  const ids = async () =>
    (await server.get<{ data: Session[] }>('/v1/sessions?limit=1000')).data.map(({ id }) => id).toSorted()
  /** The server answers as before. */
  const alive = async () => expect((await server.request('GET', '/ready')).status).toBe(200)

  test('AT20 no name in an address leads out of what is served: encoded, absolute, with dots, links or NUL', async () => {
    const names = [
      '..',
      '../canary.txt',
      '../../canary.txt',
      '..\\canary.txt',
      '/etc/passwd',
      'x/../../canary.txt',
      '.',
      '...',
    ]
    const encodings = [
      (name: string) => encodeURIComponent(name),
      (name: string) => name,
      (name: string) => encodeURIComponent(encodeURIComponent(name)),
      (name: string) => name.replaceAll('.', '%2e').replaceAll('/', '%2f'),
      (name: string) => `${encodeURIComponent(name)}%00.js`,
      (name: string) => name.replaceAll('/', '%c0%af'),
    ]
    const places = ['/', '/assets/', '/docs/', '/v1/files/', '/v1/skills/', '/v1/sessions/', '/v1/agents/', '/status/']
    const ends = ['', '/content', '/export', '/workdir', '/events']
    let tried = 0
    for (const place of places)
      for (const name of names)
        for (const encode of encodings) {
          const end = ends[tried % ends.length]!
          const answer = await raw(
            `GET ${place}${encode(name)}${end} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
          )
          tried++
          expect(answer, `${place}${encode(name)}${end}`).not.toMatch(/canary of the folder|root:x:0|SQLite format/)
          expect(statuses(answer)[0], `${place}${encode(name)}${end}: ${answer.slice(0, 200)}`).toBeLessThan(500)
        }
    expect(tried).toBeGreaterThan(300)
    await alive()
  })

  test('AT21 nothing that comes in makes a line of the head that goes out', async () => {
    const form = new FormData()
    form.append('file', new Blob(['x']), 'a"\r\nSet-Cookie: evil=1\r\n\r\n.txt')
    const upload = await fetch(`${server.url}/v1/files`, { method: 'POST', body: form })
    const { id } = (await upload.json()) as { id: string }
    const cookies: (string | null)[] = []
    const note = ({ headers }: { headers: Headers }) => cookies.push(headers.get('set-cookie'))
    if (id) note(await fetch(`${server.url}/v1/files/${id}/content`))
    const title = 'x\r\nSet-Cookie: evil=1'
    const session = await server
      .create(null, { title, metadata: { a: title }, external_id: 'e\r\nSet-Cookie: evil=1' })
      .catch(() => null)
    const { id: plain } = session ?? (await server.create(null))
    for (const path of [`/v1/sessions/${plain}/export`, `/v1/sessions/${plain}/workdir`, `/v1/sessions/${plain}`])
      note(await fetch(server.url + path))
    for (const header of [
      'x-request-id',
      'request-id',
      'traceparent',
      'idempotency-key',
      'last-event-id',
      'origin',
      'accept-language',
    ]) {
      const answer = await raw(
        `GET /v1/info HTTP/1.1\r\nHost: localhost\r\n${header}: x%0d%0aSet-Cookie: evil=1\r\nConnection: close\r\n\r\n`,
      )
      expect(answer.split('\r\n\r\n')[0], header).not.toMatch(/evil/)
    }
    for (const path of [
      '/v1/info%0d%0aSet-Cookie:%20evil=1',
      '/login?next=%0d%0aSet-Cookie:%20evil=1',
      '/%0d%0aSet-Cookie: evil=1',
    ])
      note(await fetch(server.url + path, { redirect: 'manual' }))
    expect(cookies.length).toBeGreaterThan(5)
    expect(new Set(cookies)).toEqual(new Set([null]))
    await alive()
  })

  test('AT22 no caller and no agent writes a line of the log, for machines or on a terminal', async () => {
    const forged = `x\n{"level":50,"msg":"forged"}\r${ESC}[2J${ESC}]0;owned\u0007\u009b2J\u2028\u202egnp.exe`
    const before = log.length
    await server.create(`error ${forged}`, { title: forged, metadata: { a: forged } }).then(({ id }) => server.idle(id))
    await server.create(`crash ${forged}`).then(({ id }) => server.idle(id))
    await server.request('GET', `/v1/sessions/${encodeURIComponent(forged)}`)
    await server.request('GET', `/v1/nothing?${encodeURIComponent(forged)}`)
    await server.request('POST', '/v1/webhook_endpoints', { url: `https://x.invalid/${encodeURIComponent(forged)}` })
    await raw(`GET /${ESC}[2J HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    const lines = log.slice(before).trim().split('\n')
    expect(lines.length).toBeGreaterThan(5)
    for (const line of lines) {
      expect((JSON.parse(line) as { msg: string }).msg).not.toBe('forged')
      expect(line).not.toContain(ESC)
    }
    expect(log.slice(before)).not.toMatch(OBEYED)
    // A person sees the same words, and the terminal obeys none of them.
    const shown = Promise.withResolvers<string>()
    const terminal = new Writable({
      write(chunk: Buffer, _encoding, done) {
        shown.resolve(chunk.toString())
        done()
      },
    })
    serverLogger('info', 'words', terminal).warn({ err: new Error(forged), title: forged }, 'a setup failed')
    const words = await shown.promise
    expect(words).toContain('forged')
    // Colours are ours.
    expect(words.replaceAll(new RegExp(`${ESC}\\[\\d+m`, 'g'), '')).not.toMatch(OBEYED)
  })

  test('AT23 what an agent writes is never a frame of its own in a stream', async () => {
    const evil =
      'a\n\nid: 999999\nevent: forged\ndata: {"type":"session.status_idle"}\r\n\rdata: x\u2028data: y\u2029\u0000: comment\nretry: 1'
    const { id } = await server.create(`say ${evil}`)
    const events = await server.idle(id).then(() => server.events(id))
    const stream = await server.request('GET', `/v1/sessions/${id}/events/stream?from=start&until=idle`)
    const frames = stream.text.split('\n\n').filter((frame) => frame.includes('data:'))
    const told = frames.map((frame) => {
      const lines = frame.split(/\r\n|\r|\n/)
      expect(lines.filter((line) => line.startsWith('data:'))).toHaveLength(1)
      expect(lines.filter((line) => !/^(id|event|data|retry):? /.test(line) && line !== '')).toEqual([])
      return JSON.parse(lines.find((line) => line.startsWith('data:'))!.slice(5)) as SessionEvent
    })
    expect(told.map(({ seq }) => seq)).toEqual(Array.from({ length: events.at(-1)!.seq }, (_, n) => n + 1))
    const said = told.find(({ type }) => type === 'agent.message')
    expect(JSON.stringify(said?.content)).toContain('999999')
  })

  test('AT28 no line of a stream or an export is cut by readers that know more ends of lines than the protocol', async () => {
    const { id } = await server.create('say a\u0085b\u2028c\u2029d')
    const events = await server.idle(id).then(() => server.events(id))
    expect(JSON.stringify(events)).toContain('a\u0085b\u2028c\u2029d')
    const stream = await server.request('GET', `/v1/sessions/${id}/events/stream?from=start&until=idle`)
    const exported = await server.request('GET', `/v1/sessions/${id}/export`)
    for (const { text } of [stream, exported]) {
      expect(text).toContain(String.raw`a\u0085b\u2028c\u2029d`)
      expect(text).not.toMatch(/[\u0085\u2028\u2029]/)
    }
    const lines = exported.text.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as SessionEvent)).toEqual(events)
  })

  test('AT24 JSON that is deep, wide, doubled or poisoned is refused or is data, and changes nothing else', async () => {
    const deep = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth)
    const wide = `{${Array.from({ length: 100_000 }, (_, n) => `"k${n}":1`).join(',')}}`
    const bodies = [
      deep('[', ']', 100_000),
      `{"metadata":${deep('{"a":', '}', 50_000).replace('{"a":}', '{}')}}`,
      wide,
      `{"metadata":${wide}}`,
      `{"agent":{"type":"inline","output_schema":${'{"properties":{"a":'.repeat(5_000)}{}${'}}'.repeat(5_000)}}}`,
      '{"__proto__":{"polluted":1}}',
      '{"metadata":{"__proto__":"x","constructor":"y","toString":"z"}}',
      '{"metadata":{"constructor":{"prototype":{"polluted":1}}}}',
      '{"title":"a","title":"b"}',
      '{"title":1e400}',
      '{"title":"\\ud800"}',
      '{"title":"a\\u0000b"}',
      '{"limits":{"max_turns":99999999999999999999999}}',
      '{"limits":{"max_turns":-0}}',
      `{"title":"${'x'.repeat(1024)}`,
      '\u0000',
      '',
      'null',
      '[]',
      '"x"',
    ]
    for (const body of bodies)
      for (const path of ['/v1/sessions', '/execute/', '/v1/agents', '/v1/deployments']) {
        const headers = { 'content-type': 'application/json' }
        const reply = await fetch(server.url + path, { method: 'POST', headers, body })
        const text = await reply.text()
        expect(reply.status, `${path} ${body.slice(0, 60)}: ${text.slice(0, 200)}`).toBeLessThan(500)
        // The origin API says what it was given, as its model does; never more.
        expect(text.length, `${path} ${body.slice(0, 60)}`).toBeLessThan(2 * body.length + 20_000)
      }
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    const session = await server.create(null, { metadata: { constructor: 'y' } })
    expect(await server.get<Session>(`/v1/sessions/${session.id}`)).toMatchObject({ metadata: { constructor: 'y' } })
    await alive()
  })

  test('AT25 what two servers would read as different requests is refused, and what hides behind one is not done', async () => {
    const hidden =
      'POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"title":"smuggled"}'
    const head = 'Host: localhost\r\nContent-Type: application/json\r\n'
    const attempts = [
      `POST /v1/sessions/prune HTTP/1.1\r\n${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
      `POST /v1/sessions/prune HTTP/1.1\r\n${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
      `POST /v1/sessions/prune HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${hidden}`,
      `POST /v1/sessions/prune HTTP/1.1\r\n${head}Content-Length: 2\r\nContent-Length: 200\r\n\r\n{}${hidden}`,
      `POST /v1/sessions/prune HTTP/1.1\r\n${head}Content-Length : 2\r\n\r\n{}${hidden}`,
      `POST /v1/sessions/prune HTTP/1.1\r\n${head}Content-Length: +2\r\n\r\n{}${hidden}`,
      `GET /v1/info HTTP/1.1\nHost: localhost\n\n${hidden}`,
      `GET /v1/info HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b: c\r\n\r\n${hidden}`,
      `POST /v1/sessions/prune HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n${hidden}`,
    ]
    // Where these end is clear; whose they are is not.
    const names = [
      `GET /v1/info HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n`,
      `GET /v1/info HTTP/1.1\r\n\r\n`,
      `GET http://evil.example/v1/info HTTP/1.1\r\nHost: evil.example\r\n\r\n`,
    ]
    for (const attempt of [...attempts, ...names]) {
      const answer = await raw(attempt)
      expect(statuses(answer)[0], attempt.slice(0, 160)).toBeGreaterThanOrEqual(400)
    }
    const { data } = await server.get<{ data: Session[] }>('/v1/sessions?limit=1000')
    expect(data.filter(({ title }) => title === 'smuggled')).toHaveLength(0)
    // A request behind another on one connection is a request like any other.
    expect(
      statuses(
        await raw(
          `GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n${hidden.replace('smuggled', 'pipelined')}`.replace(
            'Length: 20',
            'Length: 21',
          ),
        ),
      ),
    ).toEqual([200, 200, 200])
    await alive()
  })

  test('AT26 forms and bodies that are bombs are refused, whatever they unpack to', async () => {
    const boundary = 'xxx'
    const type = `multipart/form-data; boundary=${boundary}`
    const part = (head: string, body: string) => `--${boundary}\r\n${head}\r\n\r\n${body}\r\n`
    const file = 'Content-Disposition: form-data; name="file"; filename="x"'
    const forms = [
      part(file, 'x').repeat(5_000) + `--${boundary}--\r\n`,
      part('Content-Disposition: form-data; name="x"', 'y').repeat(5_000) + `--${boundary}--\r\n`,
      part(`Content-Disposition: form-data; name="file"; filename="${'x'.repeat(200_000)}"`, 'x') +
        `--${boundary}--\r\n`,
      part(file, 'x'),
      `--${boundary}`,
      '',
    ]
    for (const path of ['/v1/files', '/v1/skills'])
      for (const form of forms) {
        const reply = await fetch(server.url + path, {
          method: 'POST',
          headers: { 'content-type': type },
          body: form,
        }).catch(() => null)
        if (reply) expect(reply.status, `${path} ${form.slice(0, 80)}`).toBeGreaterThanOrEqual(400)
        if (reply) expect(reply.status, `${path} ${form.slice(0, 80)}`).toBeLessThan(500)
      }
    expect((await server.get<{ data: unknown[] }>('/v1/skills')).data).toEqual([])
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, '['))
    const reply = await fetch(`${server.url}/v1/sessions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: bomb,
    })
    expect([400, 415]).toContain(reply.status)
    await alive()
  })

  test('AT27 searches, filters and cursors are data: no syntax of the store, no pattern, no other list', async () => {
    const { id } = await server.create('say needle')
    await server.idle(id)
    await server.create(null)
    const before = await ids()
    const words = [
      '"',
      "'",
      '*',
      'a*',
      'NEAR(a b)',
      'a AND',
      'OR',
      'NOT x',
      'title:needle',
      '^needle',
      '{x}',
      "x' OR 1=1 --",
      '");drop table sessions;--',
      '(a+)+$'.repeat(50),
      'x'.repeat(5_000),
      '"'.repeat(999),
      '\u0000abc',
      '%',
      '____',
      '\ud800abc',
      '-needle -x',
    ]
    for (const word of words) {
      const q = encodeURIComponent(word.isWellFormed() ? word : 'abc')
      for (const path of [
        `/v1/sessions?q=${q}`,
        `/v1/sessions?metadata[${q}]=${q}`,
        `/v1/sessions?external_id=${q}`,
        `/v1/sessions?agent_id=${q}`,
        `/v1/sessions?page=${q}`,
        `/v1/usage?group_by[]=${q}`,
        `/v1/audit_events?action=${q}&page=${q}`,
      ])
        expect([200, 400], `${path}`).toContain((await server.request('GET', path)).status)
    }
    // A cursor is good where it was made; one that was changed is none.
    const page = (await server.get<{ next_page: string }>('/v1/sessions?limit=1')).next_page
    for (const other of [
      `/v1/agents?limit=1&page=${page}`,
      `/v1/sessions?limit=1&statuses[]=idle&page=${page}`,
      `/v1/sessions?limit=1&page=${page.slice(0, -2)}xx`,
      `/v1/sessions?limit=1&page=${page}x`,
    ])
      expect((await server.request('GET', other)).body.code, other).toBe('invalid_cursor')
    expect(await ids()).toEqual(before)
    await alive()
  })
})
