import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer as createNetServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Resolve } from '../../src/lib/system-resolver.ts'
import { Gateway } from '../../src/proxy/gateway.ts'
import { agentBehindGateway } from '../../src/proxy/gateway-env.ts'
import { addressesOf, type WaysOut } from '../../src/proxy/ways-out.ts'

const NOTHING: WaysOut = { hosts: [], servers: [], endpoint: null, model: null, tools: null }
const at = (...addresses: string[]): LookupAddress[] => addresses.map((address) => ({ address, family: 4 }))

/** A server that answers on an address of loopback. Gone with the test. */
async function serving(address: string, answer: RequestListener, port = 0): Promise<number> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(port, address, resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A gateway that listens here, and what comes back for bytes that are sent to it. Gone with the test. */
async function gatewayWith(ways: Partial<WaysOut>, resolve: Resolve = async () => []) {
  const gateway = new Gateway({ ...NOTHING, ...ways }, resolve)
  const socket = createNetServer()
  await new Promise<void>((listening) => socket.listen(0, '127.0.0.1', listening))
  const { port } = socket.address() as AddressInfo
  gateway.listen(socket)
  onTestFinished(() => gateway.close())
  const send = async (bytes: string) => {
    const client = connect({ port, host: '127.0.0.1' })
    client.write(bytes)
    let text = ''
    client.setEncoding('utf8').on('data', (part: string) => (text += part))
    client.on('error', () => {})
    await once(client, 'close', { signal: AbortSignal.timeout(10_000) })
    return text
  }
  return { gateway, send, port }
}

const get = (url: string, more = '') => `GET ${url} HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n${more}\r\n`
const connectTo = (authority: string, bytes = '') => `CONNECT ${authority} HTTP/1.1\r\n\r\n${bytes}`
const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1])

test('EN45 a name is resolved once for each connection, and leads to nothing that the list does not have', async () => {
  const seen: string[] = []
  const port = await serving('127.0.0.2', ({ headers }, response) => {
    seen.push(`listed ${headers.host}`)
    response.end()
  })
  await serving(
    '127.0.0.1',
    (_, response) => {
      seen.push('CANARY')
      response.end()
    },
    port,
  )
  const answers = [at('127.0.0.2'), at('127.0.0.1'), at('127.0.0.1', '127.0.0.2'), at('127.0.0.2'), []]
  const names: string[] = []
  const resolve: Resolve = async (name) => {
    names.push(name)
    return answers.shift() ?? at('127.0.0.1')
  }
  const { send } = await gatewayWith({ hosts: ['*.Example.org', '127.0.0.2'], servers: ['mcp.test'] }, resolve)
  const url = `http://a.example.org:${port}/`
  const statuses = []
  for (const bytes of [
    get(url),
    get(url),
    get(url),
    connectTo(`a.example.org:${port}`, get('/')),
    get(url),
    get(`http://mcp.test:${port}/`),
    get(`http://example.org:${port}/`),
    get(`http://notexample.org:${port}/`),
  ])
    statuses.push(statusOf(await send(bytes)))
  expect(statuses).toEqual([200, 403, 200, 200, 502, 403, 403, 403])
  const { host } = new URL(url)
  expect(seen).toEqual([`listed ${host}`, `listed ${host}`, 'listed elsewhere'])
  expect(names).toEqual([...Array.from({ length: 5 }, () => 'a.example.org'), 'mcp.test'])
  // Of the public internet, or the model's own, which the operator has named.
  const endpoint = new URL('https://model.internal')
  const ways = { ...NOTHING, hosts: ['open.test'], endpoint }
  const found = (name: string, address: string) => addressesOf(new URL(name), ways, async () => at(address))
  expect(await found('http://open.test', '93.184.216.34')).toEqual(at('93.184.216.34'))
  expect(await found('http://model.internal:443', '10.0.0.7')).toEqual(at('10.0.0.7'))
  for (const [name, address] of [
    ['http://open.test', '10.0.0.7'],
    ['http://open.test', '::1'],
    ['http://model.internal:22', '10.0.0.7'],
  ] as const)
    await expect(found(name, address)).rejects.toThrow('lets nothing connect')
})

test('EN45 what is no request for a host is refused, and a body stays a body', async () => {
  const bodies: string[] = []
  const port = await serving('127.0.0.2', (request, response) => {
    let body = ''
    request.on('data', (part) => (body += String(part)))
    request.on('end', () => {
      bodies.push(`${request.method} ${request.url} ${body} ${request.headers['proxy-authorization']}`)
      response.end()
    })
  })
  const { send } = await gatewayWith({ hosts: ['127.0.0.2'] })
  for (const authority of [
    '',
    '127.0.0.2',
    ':80',
    '127.0.0.2:',
    '127.0.0.2:99999',
    'a/b:80',
    'a#b:80',
    'u@127.0.0.2:80',
  ])
    expect([authority, statusOf(await send(connectTo(authority)))]).toEqual([authority, 400])
  for (const url of ['https://127.0.0.2/', 'ftp://127.0.0.2/', '*', 'http://'])
    expect([url, statusOf(await send(get(url)))]).toEqual([url, 400])
  expect(statusOf(await send(get('/')))).toBe(404)
  expect(statusOf(await send(connectTo('127.0.0.3:80')))).toBe(403)
  expect(statusOf(await send(connectTo('127.0.0.2:1')))).toBe(502)
  const smuggled = 'GET /second HTTP/1.1\r\nHost: x\r\n\r\n'
  const url = `http://127.0.0.2:${port}/first`
  const more = `Proxy-Authorization: Basic x\r\nTransfer-Encoding: chunked\r\n`
  const chunk = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`
  expect(statusOf(await send(get(url, more) + chunk))).toBe(200)
  expect(statusOf(await send(get(url, `Content-Length: ${smuggled.length}\r\n`) + smuggled))).toBe(200)
  const hidden = `Content-Length: ${smuggled.length}\r\nConnection: content-length\r\n`
  expect(statusOf(await send(get(url, hidden) + smuggled))).toBe(200)
  expect(bodies).toEqual(Array.from({ length: 3 }, () => `GET /first ${smuggled} undefined`))
})

test('EN45 a connection that is refused holds no place among those that may be open', async () => {
  const port = await serving('127.0.0.2', (_, response) => response.end())
  const { send, port: own } = await gatewayWith({ hosts: ['127.0.0.2'] })
  for (let left = 150; left > 0; left--) {
    const client = connect({ port: own, host: '127.0.0.1', allowHalfOpen: true })
    client.write(connectTo('127.0.0.1:1'))
    const [answer] = (await once(client.setEncoding('utf8'), 'data', { signal: AbortSignal.timeout(10_000) })) as [
      string,
    ]
    expect(statusOf(answer)).toBe(403)
    // What nobody reads any more.
    client.end('more')
    await once(client, 'close', { signal: AbortSignal.timeout(10_000) })
  }
  expect(statusOf(await send(get(`http://127.0.0.2:${port}/`)))).toBe(200)
})

test('EN46 the gateway stands for the model and the tools of one session, and for nothing beside them', async () => {
  const seen: string[] = []
  const port = await serving('127.0.0.1', ({ method, url, headers }, response) => {
    seen.push(`${method} ${url} ${headers.host}`)
    response.end()
  })
  const env = { ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}/gate/`, HTTPS_PROXY: 'http://proxy.test', A: 'b' }
  const { env: told, ...ways } = agentBehindGateway(env)
  expect(told).toMatchObject({
    ANTHROPIC_BASE_URL: 'http://127.0.0.1:808/gate',
    HTTPS_PROXY: 'http://127.0.0.1:808',
    A: 'b',
  })
  const tools = new URL(`http://127.0.0.1:${port}/internal/client-tools/sesn_1`)
  const { send } = await gatewayWith({ ...ways, tools })
  const post = (path: string) => `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
  expect(statusOf(await send(post('/gate/v1/messages?beta=true')))).toBe(200)
  expect(statusOf(await send(get('/gate/v1/models')))).toBe(200)
  expect(statusOf(await send(post(tools.pathname)))).toBe(200)
  const host = `127.0.0.1:${port}`
  expect(seen.splice(0)).toEqual([
    `POST /gate/v1/messages?beta=true ${host}`,
    `GET /gate/v1/models ${host}`,
    `POST ${tools.pathname} ${host}`,
  ])
  for (const bytes of [
    post('/v1/messages'),
    post('/gate/v1/files'),
    post('/gate/v1/messages/../files'),
    post('/gate/../v1/sessions'),
    post(`${tools.pathname}2`),
    post('/internal/client-tools/sesn_2'),
    get(tools.pathname),
    post('/execute/'),
  ])
    expect([bytes, statusOf(await send(bytes))]).toEqual([bytes, 404])
  expect(seen).toEqual([])
  // By https the agent asks itself; where it asks no Messages endpoint, the list has to say whom.
  expect(agentBehindGateway({}).endpoint?.host).toBe('api.anthropic.com')
  expect(agentBehindGateway({ ANTHROPIC_BASE_URL: 'https://model.test:8443/x' }).endpoint?.host).toBe('model.test:8443')
  expect(agentBehindGateway({ CLAUDE_CODE_USE_BEDROCK: '1' })).toMatchObject({ endpoint: null, model: null })
})

test('EN47 a gateway that ends cuts what goes through it, takes nothing more, and holds one name up at a time', async () => {
  const reached = Promise.withResolvers<void>()
  const port = await serving('127.0.0.2', () => reached.resolve())
  const asked: string[] = []
  const waiting: (() => void)[] = []
  const resolve: Resolve = (name) => {
    asked.push(name)
    return new Promise((answer) => waiting.push(() => answer(at('127.0.0.2'))))
  }
  const { gateway, send, port: own } = await gatewayWith({ hosts: ['*.test', '127.0.0.2'] }, resolve)
  const tunnel = send(connectTo(`127.0.0.2:${port}`, get('/')))
  await reached.promise
  const slow = [send(get(`http://a.test:${port}/`)), send(get(`http://b.test:${port}/`))]
  await expect.poll(() => asked).toEqual(['a.test'])
  waiting[0]!()
  await expect.poll(() => asked).toEqual(['a.test', 'b.test'])
  gateway.close()
  gateway.close()
  waiting[1]!()
  expect(await tunnel).toBe('HTTP/1.1 200 Connection Established\r\n\r\n')
  expect(await Promise.all(slow)).toEqual(['', ''])
  const late = connect(own, '127.0.0.1')
  expect(await once(late, 'error')).toMatchObject([{ code: 'ECONNREFUSED' }])
  const socket = createNetServer()
  await new Promise<void>((listening) => socket.listen(0, '127.0.0.1', listening))
  gateway.listen(socket)
  expect(socket.listening).toBe(false)
})
