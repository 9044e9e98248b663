import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { consoleRoutes } from '../src/http/routes/console.ts'
import type { Server } from '../src/http/server.ts'
import { readConsoleFiles } from '../src/http/console-files.ts'
import { type TestServer, testServer } from './support/server.ts'

const HTML = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

describe('the page of a server', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())

  test('U1 at / a browser gets a page, everybody else the origin API', async () => {
    const page = await server.request('GET', '/', undefined, HTML)
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(page.headers.get('vary')).toMatch(/accept/)
    for (const accept of ['*/*', 'application/json', 'text/event-stream'])
      expect((await server.request('GET', '/', undefined, { accept })).body.message).toBe('Claude Agent SDK API')
  })

  test('U2 an unknown path is a page for browsers only, and never below a path of the API', async () => {
    expect((await server.request('GET', '/s/sesn_1', undefined, HTML)).headers.get('content-type')).toMatch(/html/)
    for (const path of ['/v1/nothing', '/v1', '/sessions/x/y', '/status/x/y', '/assets/nothing.js', '/health/x'])
      expect((await server.request('GET', path, undefined, HTML)).body.code, path).toMatch(/_found$/)
    expect((await server.request('GET', '/s/sesn_1')).body.code).toBe('route_not_found')
    expect((await server.request('POST', '/s/sesn_1', {}, HTML)).body.code).toBe('route_not_found')
  })
})

describe('the files of a build', () => {
  let folder: string
  const listening: { close(): Promise<unknown> }[] = []
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'troupe-console-'))
    mkdirSync(join(folder, 'assets'))
    writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Troupe</title>')
    writeFileSync(join(folder, 'assets', 'main-1a2b.js'), 'export {}')
    writeFileSync(join(folder, '.built-from'), 'a hash')
  })
  afterAll(async () => {
    for (const each of listening) await each.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const serve = (place: string) => {
    const fastify = Fastify()
    listening.push(fastify)
    const page = consoleRoutes(fastify as unknown as Server, readConsoleFiles([place]))
    fastify.setNotFoundHandler((request, reply) =>
      page.wantsPage(request) ? page.page(request, reply) : reply.code(404).send({}),
    )
    return fastify
  }

  test('U3 files come with a strict policy, a tag, and for ever where their name holds their hash', async () => {
    const fastify = serve(folder)
    const page = await fastify.inject({ url: '/', headers: HTML })
    expect(page.headers['content-security-policy']).toContain("script-src 'self';")
    expect(page.headers['content-security-policy']).not.toMatch(/unsafe|https?:|\*/)
    expect(page.headers).toMatchObject({ 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' })
    const again = await fastify.inject({ url: '/', headers: { ...HTML, 'if-none-match': String(page.headers.etag) } })
    expect([again.statusCode, again.body]).toEqual([304, ''])
    const script = await fastify.inject({ url: '/assets/main-1a2b.js', headers: { 'accept-encoding': 'gzip' } })
    expect(script.headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'content-encoding': 'gzip',
      'cache-control': 'public, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
    })
    expect((await fastify.inject({ url: '/.built-from' })).statusCode).toBe(404)
    expect((await fastify.inject({ url: '/assets/..%2findex.html' })).statusCode).toBe(404)
  })

  test('U4 without a build the page says how to make one', async () => {
    const page = await serve(join(folder, 'nowhere')).inject({ url: '/', headers: HTML })
    expect(page.statusCode).toBe(503)
    expect(page.body).toContain('npm run build')
  })
})
