import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTls } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { chooseProxy } from '../../src/proxy/choose-proxy.ts'
import { withoutCredentials } from '../../src/proxy/credential.ts'
import { ask, endpoint, proxyFor, textOf } from './support.ts'

const REAL = 'sk-ant-real-0123456789'

test('CP2 only what the agent needs is forwarded, and only with the stand-in of an agent that lives', async () => {
  const asked: string[] = []
  const base = await endpoint((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['x-api-key']}`)
    request.resume().once('end', () => response.end('{}'))
  })
  const proxy = await proxyFor({ ANTHROPIC_API_KEY: REAL, ANTHROPIC_BASE_URL: base })
  const env = proxy.admit('sesn_1')
  const other = proxy.admit('sesn_2')
  const mine = { 'x-api-key': env.ANTHROPIC_API_KEY! }
  const status = async (path: string, headers: Record<string, string>, method?: string) => {
    const answer = await ask(proxy.url, path, headers, method ? { method } : {})
    await textOf(answer)
    return answer.statusCode
  }
  expect(env.ANTHROPIC_API_KEY).not.toBe(other.ANTHROPIC_API_KEY)
  expect(await status('/v1/messages?beta=true', mine)).toBe(200)
  expect(await status('/v1/messages/count_tokens', mine)).toBe(200)
  expect(await status('/v1/models?limit=1', mine, 'GET')).toBe(200)
  expect(await status('/v1/models/claude-x', mine, 'GET')).toBe(200)
  expect(await status('/v1/messages', { authorization: `Bearer ${env.ANTHROPIC_API_KEY}` })).toBe(200)
  expect(await status('/', {}, 'HEAD')).toBe(200)
  expect(asked.splice(0)).toEqual([
    `POST /v1/messages?beta=true ${REAL}`,
    `POST /v1/messages/count_tokens ${REAL}`,
    `GET /v1/models?limit=1 ${REAL}`,
    `GET /v1/models/claude-x ${REAL}`,
    'POST /v1/messages undefined',
  ])
  for (const path of [
    '/v1/files',
    '/v1/messages/batches',
    '/v1/messages/../files',
    '/v1/messages%2f..%2ffiles',
    '//v1/messages',
    '/v1/organizations/api_keys',
    '/v1/messages/',
  ])
    expect([path, await status(path, mine)]).toEqual([path, 404])
  expect(await status('/v1/messages', mine, 'DELETE')).toBe(404)
  expect(await status('/v1/messages', {})).toBe(401)
  expect(await status('/v1/messages', { 'x-api-key': REAL })).toBe(401)
  expect(await status('/v1/messages', { 'x-api-key': `${env.ANTHROPIC_API_KEY}x` })).toBe(401)
  proxy.dismiss(env)
  expect(await status('/v1/messages', mine)).toBe(401)
  expect(await status('/v1/messages', { 'x-api-key': other.ANTHROPIC_API_KEY! })).toBe(200)
  expect(asked).toHaveLength(1)
  expect(proxy.size).toBe(1)
})

test('CP2 a request within the body of another is not forwarded, and the answers of others stay theirs', async () => {
  const asked: string[] = []
  const base = await endpoint((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    request.resume().once('end', () => response.end(request.url))
  })
  const proxy = await proxyFor({ ANTHROPIC_API_KEY: REAL, ANTHROPIC_BASE_URL: base })
  const key = proxy.admit('sesn_1').ANTHROPIC_API_KEY!
  const inner = 'POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n'
  const head = (framing: string) => `GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Api-Key: ${key}\r\n${framing}\r\n\r\n`
  for (const sent of [
    `${head('Transfer-Encoding: chunked')}${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`,
    head(`Content-Length: ${inner.length}`) + inner,
    head(`Content-Length: ${inner.length}\r\nConnection: keep-alive, content-length`) + inner,
  ]) {
    const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1')
    socket.write(sent)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1.1 200/)
    socket.destroy()
    // Over the connection that was just used: it would get what belongs to the request within.
    expect(await textOf(await ask(proxy.url, '/v1/messages', { 'x-api-key': key }))).toBe('/v1/messages')
  }
  expect(asked).toEqual(Array.from({ length: 3 }, () => ['GET /v1/models', 'POST /v1/messages']).flat())
})

test('CP3 headers of a connection, keys and cookies of the agent stay behind; the real ones are added in their place', async () => {
  let seen: IncomingMessage | null = null
  const base = await endpoint((request, response) => {
    seen = request
    request.resume().once('end', () => {
      response.writeHead(200, { connection: 'x-hop', 'x-hop': '1', 'x-kept': 'yes', 'set-cookie': ['a=1', 'b=2'] })
      response.end('{}')
    })
  })
  const proxy = await proxyFor({
    ANTHROPIC_API_KEY: REAL,
    ANTHROPIC_AUTH_TOKEN: 'token-real',
    ANTHROPIC_BASE_URL: `${base}/gateway/`,
    ANTHROPIC_CUSTOM_HEADERS: 'X-Gateway: secret\nx-team: ours',
  })
  const env = proxy.admit('sesn_1')
  expect(env).toMatchObject({ ANTHROPIC_BASE_URL: proxy.url, NO_PROXY: '127.0.0.1' })
  expect(JSON.stringify(env)).not.toMatch(/real|secret/)
  const answer = await ask(proxy.url, '/v1/messages?beta=true', {
    'x-api-key': env.ANTHROPIC_API_KEY!,
    authorization: `Bearer ${env.ANTHROPIC_AUTH_TOKEN}`,
    'anthropic-beta': 'a,b',
    connection: 'close, x-mine',
    'x-mine': '1',
    'x-team': 'theirs',
    cookie: 'c=1',
    te: 'trailers',
    'proxy-authorization': 'Basic eA==',
  })
  expect(await textOf(answer)).toBe('{}')
  expect(answer.headers).toMatchObject({ 'x-kept': 'yes', 'set-cookie': ['a=1', 'b=2'] })
  expect(answer.headers).not.toHaveProperty('x-hop')
  const { headers, url } = seen!
  expect(url).toBe('/gateway/v1/messages?beta=true')
  expect(headers).toMatchObject({
    host: new URL(base).host,
    'x-api-key': REAL,
    authorization: 'Bearer token-real',
    'anthropic-beta': 'a,b',
    'x-gateway': 'secret',
    'x-team': 'ours',
    'content-length': '2',
  })
  for (const name of ['x-mine', 'cookie', 'te', 'proxy-authorization']) expect(headers).not.toHaveProperty(name)
})

test('CP4 what the endpoint answers passes as it is: refusals with their headers, a stream that is cut, no answer at all', async () => {
  const cut = Promise.withResolvers<ServerResponse>()
  const left = Promise.withResolvers<void>()
  const base = await endpoint((request, response) => {
    request.resume()
    const kind = new URL(request.url!, 'http://x').searchParams.get('kind')
    if (kind === 'overloaded')
      response.writeHead(529, 'Overloaded', { 'retry-after': '7', 'request-id': 'req_1' }).end('{"no":1}')
    else if (kind === 'cut') {
      response.write('event: one\n\n')
      cut.resolve(response)
    } else if (kind === 'leave') {
      response.write('event: one\n\n')
      response.once('close', () => left.resolve())
    } else request.socket.destroy()
  })
  const proxy = await proxyFor({ ANTHROPIC_API_KEY: REAL, ANTHROPIC_BASE_URL: base })
  const mine = { 'x-api-key': proxy.admit('sesn_1').ANTHROPIC_API_KEY! }

  const overloaded = await ask(proxy.url, '/v1/messages?kind=overloaded', mine)
  expect(overloaded).toMatchObject({ statusCode: 529, statusMessage: 'Overloaded' })
  expect(overloaded.headers).toMatchObject({ 'retry-after': '7', 'request-id': 'req_1' })
  expect(await textOf(overloaded)).toBe('{"no":1}')

  const broken = await ask(proxy.url, '/v1/messages?kind=cut', mine)
  const [first] = (await once(broken, 'data')) as [Buffer]
  expect(first.toString()).toBe('event: one\n\n')
  ;(await cut.promise).destroy()
  await expect(textOf(broken)).rejects.toThrow(/aborted/)

  await expect(ask(proxy.url, '/v1/messages?kind=none', mine)).rejects.toThrow(/hang up|ECONNRESET/)

  const leaving = await ask(proxy.url, '/v1/messages?kind=leave', mine)
  await once(leaving, 'data')
  leaving.destroy()
  await left.promise
})

test('CP5 bodies pass at the pace of the slower end, and many at once', async () => {
  let written = 0
  const TOTAL = 64 * 2 ** 20
  const stalled = Promise.withResolvers<void>()
  const base = await endpoint((request, response) => {
    if (request.url === '/v1/messages?big') {
      request.resume()
      const piece = Buffer.alloc(2 ** 16, 'x')
      const more = () => {
        while (written < TOTAL) {
          written += piece.length
          if (!response.write(piece)) {
            response.once('drain', more)
            // Long enough behind what the sockets hold: nobody takes more.
            clearTimeout(quiet)
            quiet = setTimeout(() => stalled.resolve(), 1_000)
            return
          }
        }
        response.end()
      }
      let quiet: NodeJS.Timeout
      more()
    } else request.pipe(response)
  })
  const proxy = await proxyFor({ ANTHROPIC_API_KEY: REAL, ANTHROPIC_BASE_URL: base })
  const mine = { 'x-api-key': proxy.admit('sesn_1').ANTHROPIC_API_KEY! }
  const big = await ask(proxy.url, '/v1/messages?big', mine)
  big.pause()
  await stalled.promise
  expect(written).toBeLessThan(TOTAL / 2)
  let read = 0
  for await (const chunk of big) read += (chunk as Buffer).length
  expect(read).toBe(TOTAL)

  const bodies = Array.from({ length: 100 }, (_, n) => `${n}:${'y'.repeat(n * 1000)}`)
  const answers = await Promise.all(bodies.map((body) => ask(proxy.url, '/v1/messages', mine, { body }).then(textOf)))
  expect(answers).toEqual(bodies)
})

test.skipIf(spawnSync('openssl', ['version']).status !== 0)(
  'CP6 the way to the endpoint is that of the server: https with its certificates, through its proxy; only loopback is listened on',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-tls-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const words = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=model.test -addext subjectAltName=DNS:model.test -keyout ${key} -out ${cert}`
    expect(spawnSync('openssl', words.split(' ')).status).toBe(0)
    const upstream = createTls({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
      response.end(`${request.headers.host} ${request.headers['x-api-key']}`)
    })
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    const { port } = upstream.address() as AddressInfo
    // A name that nobody can look up: it is reached through the proxy or not at all.
    const tunnels: string[] = []
    const tunnel = createServer().on('connect', (request, socket) => {
      tunnels.push(request.url!)
      const onward = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.pipe(onward).pipe(socket)
      })
      onward.on('error', () => socket.destroy())
      socket.on('error', () => onward.destroy())
    })
    tunnel.listen(0, '127.0.0.1')
    await once(tunnel, 'listening')
    onTestFinished(() => {
      upstream.closeAllConnections()
      upstream.close()
      tunnel.closeAllConnections()
      tunnel.close()
    })
    const env = {
      ANTHROPIC_API_KEY: REAL,
      ANTHROPIC_BASE_URL: 'https://model.test',
      HTTPS_PROXY: `http://127.0.0.1:${(tunnel.address() as AddressInfo).port}`,
    }
    const trusting = await proxyFor({ ...env, SSL_CERT_FILE: cert })
    const show = (made: Record<string, string>) => ({ 'x-api-key': made.ANTHROPIC_API_KEY! })
    const answer = await ask(trusting.url, '/v1/messages', show(trusting.admit('sesn_1')))
    expect(await textOf(answer)).toBe(`model.test ${REAL}`)
    expect(tunnels).toEqual(['model.test:443'])
    const doubting = await proxyFor(env)
    await expect(ask(doubting.url, '/v1/messages', show(doubting.admit('sesn_1')))).rejects.toThrow()
    expect(new URL(trusting.url).hostname).toBe('127.0.0.1')
  },
)

test('CP7 auto keeps what is a key at an endpoint; what the agent must hold itself is said, and refused where the proxy is asked for', () => {
  const choose = (
    credential_proxy: 'auto' | 'on' | 'off',
    env: NodeJS.ProcessEnv,
    source: 'configured' | 'none' | 'demo' = 'configured',
  ) => chooseProxy({ credential_proxy, env }, { source }, source === 'demo' ? 'http://127.0.0.1:1' : null)
  expect(choose('auto', { ANTHROPIC_API_KEY: REAL }).credential).toMatchObject({ apiKey: REAL, authToken: null })
  expect(choose('auto', { ANTHROPIC_AUTH_TOKEN: 't' }).credential!.base.href).toBe('https://api.anthropic.com/')
  expect(choose('off', { ANTHROPIC_API_KEY: REAL })).toMatchObject({ credential: null })
  expect(choose('auto', {}, 'demo').credential).toBeNull()
  expect(choose('on', {}, 'demo').credential).toMatchObject({ apiKey: 'demo' })
  const cannot: [NodeJS.ProcessEnv, RegExp][] = [
    [{ ANTHROPIC_API_KEY: REAL, CLAUDE_CODE_USE_BEDROCK: '1' }, /CLAUDE_CODE_USE_BEDROCK/],
    [{ ANTHROPIC_API_KEY: REAL, CLAUDE_CODE_USE_VERTEX: '1' }, /CLAUDE_CODE_USE_VERTEX/],
    [{ ANTHROPIC_API_KEY: REAL, CLAUDE_CODE_CLIENT_CERT: '/c' }, /CLAUDE_CODE_CLIENT_CERT/],
    [{ CLAUDE_CODE_OAUTH_TOKEN: 't' }, /neither ANTHROPIC_API_KEY nor/],
    [{ ANTHROPIC_API_KEY: REAL, ANTHROPIC_BASE_URL: 'ftp://x' }, /not an http/],
    [{ ANTHROPIC_API_KEY: REAL, ANTHROPIC_BASE_URL: 'https://user:pass@x' }, /holds a user/],
    [{ ANTHROPIC_API_KEY: REAL, ANTHROPIC_CUSTOM_HEADERS: 'nothing' }, /not a header/],
    [{ ANTHROPIC_API_KEY: `${REAL}\n` }, /no header can carry/],
  ]
  for (const [env, why] of cannot) {
    const { credential, note } = choose('auto', env)
    expect([credential, note]).toEqual([null, expect.stringMatching(why)])
    expect(() => choose('on', env)).toThrow(why)
    expect(note).not.toContain(REAL)
  }
  const names = [
    'ANTHROPIC_API_KEY',
    'ANTHROPIC_AUTH_TOKEN',
    'ANTHROPIC_CUSTOM_HEADERS',
    'CLAUDE_CODE_OAUTH_TOKEN',
    'CLAUDE_CODE_CLIENT_KEY_PASSPHRASE',
    'ANTHROPIC_FOUNDRY_API_KEY',
    'AWS_BEARER_TOKEN_BEDROCK',
    'AWS_SECRET_ACCESS_KEY',
    'GOOGLE_APPLICATION_CREDENTIALS',
    'CLAUDE_CODE_OAUTH_REFRESH_TOKEN',
    'CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR',
    'CLAUDE_CODE_HOST_CREDS_FILE',
  ]
  const env = Object.fromEntries(names.map((name) => [name, 'secret']))
  expect(
    withoutCredentials({ ...env, CLAUDE_CODE_MAX_OUTPUT_TOKENS: '1', ANTHROPIC_MODEL: 'm', PATH: '/bin' }),
  ).toEqual({
    CLAUDE_CODE_MAX_OUTPUT_TOKENS: '1',
    ANTHROPIC_MODEL: 'm',
    PATH: '/bin',
  })
})
