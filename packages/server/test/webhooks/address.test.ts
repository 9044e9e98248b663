import type { LookupAddress } from 'node:dns'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isPublicAddress } from '../../src/lib/public-address.ts'
import { systemResolver } from '../../src/lib/system-resolver.ts'
import { sender } from '../../src/webhooks/send.ts'
import { targetOf } from '../../src/webhooks/target.ts'
import { type Receiver, receiver } from '../support/receiver.ts'

const NOT_PUBLIC = [
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '100.100.100.200',
  '127.0.0.1',
  '127.255.255.254',
  '168.63.129.16',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.192',
  '192.0.2.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.9',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:8.8.8.8',
  '::7f00:1',
  '64:ff9b::a00:1',
  '2001::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '3fff::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  'ff02::1',
]
const PUBLIC = ['1.1.1.1', '8.8.8.8', '100.128.0.1', '172.32.0.1', '192.169.0.1', '2606:4700::1111', '2a00:1450::1']

test('Z3 private, local, link-local, metadata and disguised addresses are not public; others are', () => {
  expect(NOT_PUBLIC.filter(isPublicAddress)).toEqual([])
  expect(PUBLIC.filter((address) => !isPublicAddress(address))).toEqual([])
})

test('Z3 every spelling of a private address in a URL is refused', () => {
  const spellings = [
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://127.1/',
    'https://１２７.0.0.1/',
    'https://localhost/',
    'https://LOCALHOST./',
    'https://a.localhost/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[0:0:0:0:0:ffff:7f00:0001]/',
    'https://[fe80::1]/',
    'https://169.254.169.254/latest/meta-data',
    'https://2852039166/',
    'https://8.8.8.8@10.0.0.1/',
  ]
  for (const url of spellings)
    expect(() => targetOf(url, false), url).toThrow(/TROUPE_WEBHOOK_ALLOW_PRIVATE|credentials/)
  const never = [
    'http://example.com/',
    'ftp://example.com/',
    'file:///etc/passwd',
    'nonsense',
    'https://u:p@example.com/',
  ]
  for (const url of never) expect(() => targetOf(url, false), url).toThrow()
  expect(targetOf('https://example.com:8443/hook?x=1', false).href).toBe('https://example.com:8443/hook?x=1')
  for (const url of ['http://127.0.0.1:1/', 'https://[::1]/', 'http://localhost/'])
    expect(() => targetOf(url, true)).not.toThrow()
  expect(() => targetOf('https://u:p@example.com/', true)).toThrow(/credentials/)
})

describe('names', () => {
  let target: Receiver
  beforeAll(async () => {
    target = await receiver()
  })
  afterAll(() => target.close())

  const v4 = (address: string): LookupAddress => ({ address, family: 4 })
  const hook = () => `http://hooks.example:${new URL(target.url).port}/in`
  const sent = (url: string) => ({ url, headers: {}, body: '{}' })
  const never = new AbortController().signal

  test('Z4 one private address among those a name has refuses them all, and nothing is sent', async () => {
    const resolve = () => Promise.resolve([v4('93.184.216.34'), v4('127.0.0.1')])
    const send = sender({ allowPrivate: false, resolve })
    const result = await send(sent(hook().replace('http:', 'https:')), never)
    expect(result).toMatchObject({ httpStatus: null, refused: true })
    expect(result.error).toMatch(/^hooks\.example is, or leads to, an address that is not of the public internet/)
    expect(result.error).not.toMatch(/127/)
    expect(target.received).toEqual([])
  })

  test('Z4 a name is resolved once for each request, and the connection goes where that led', async () => {
    // A name that is rebound: whoever asks a second time is sent elsewhere.
    const asked: string[] = []
    const resolve = (name: string) => {
      asked.push(name)
      return Promise.resolve([v4(asked.length === 1 ? '127.0.0.1' : '192.0.2.1')])
    }
    const send = sender({ allowPrivate: true, resolve, timeoutMs: 5_000 })
    expect(await send(sent(hook()), never)).toMatchObject({ httpStatus: 200, responseBody: 'thanks', error: null })
    expect(asked).toEqual(['hooks.example'])
    expect(target.received[0]!.headers.host).toBe(new URL(hook()).host)
  })

  test('Z4 over TLS the certificate is asked for by name, though the connection goes to the address', async () => {
    const asked = Promise.withResolvers<string>()
    const tls = createServer({
      SNICallback(name, done) {
        asked.resolve(name)
        done(new Error('none here'))
      },
    })
    await new Promise<void>((listening) => tls.listen(0, '127.0.0.1', listening))
    const { port } = tls.address() as AddressInfo
    const send = sender({ allowPrivate: true, resolve: () => Promise.resolve([v4('127.0.0.1')]) })
    const result = await send(sent(`https://hooks.example:${port}/`), never)
    expect(await asked.promise).toBe('hooks.example')
    expect(result).toMatchObject({ httpStatus: null, refused: false })
    expect(result.error).not.toBeNull()
    await new Promise((closed) => tls.close(closed))
  })

  test('Z4 a name that leads nowhere, or whose server is silent, is a failure and no refusal', async () => {
    const gone = sender({ allowPrivate: false, resolve: () => Promise.reject(new Error('getaddrinfo ENOTFOUND')) })
    expect(await gone(sent('https://hooks.example/'), never)).toMatchObject({
      error: 'getaddrinfo ENOTFOUND',
      refused: false,
    })
    const silent = sender({ allowPrivate: false, resolve: () => new Promise(() => {}), timeoutMs: 20 })
    expect(await silent(sent('https://hooks.example/'), never)).toMatchObject({ error: 'no answer within 0.02 s' })
  })

  test('Z4 lookups share the answer for a name and take at most two threads', async () => {
    const asked: { name: string; answer: (found: LookupAddress[]) => void }[] = []
    const resolve = systemResolver((name) => new Promise((answer) => asked.push({ name, answer })))
    const all = ['a', 'a', 'b', 'c', 'c'].map(resolve)
    await Promise.resolve()
    expect(asked.map(({ name }) => name)).toEqual(['a', 'b'])
    asked[0]!.answer([v4('1.1.1.1')])
    expect(await Promise.all([all[0], all[1]])).toEqual([[v4('1.1.1.1')], [v4('1.1.1.1')]])
    expect(asked.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    asked[1]!.answer([])
    asked[2]!.answer([v4('3.3.3.3')])
    expect(await all[4]).toEqual([v4('3.3.3.3')])
  })
})
