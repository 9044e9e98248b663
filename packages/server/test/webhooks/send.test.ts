import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sender } from '../../src/webhooks/send.ts'
import { type Receiver, receiver, status } from '../support/receiver.ts'

let target: Receiver
beforeEach(async () => {
  target = await receiver()
})
afterEach(() => target.close())

const resolve = () => Promise.reject(new Error('no names here'))
const never = new AbortController().signal
const post = (url: string, timeoutMs = 5_000, signal = never) =>
  sender({ allowPrivate: true, resolve, timeoutMs })(
    { url, headers: { 'webhook-id': 'whd_1' }, body: '{"a":"ä"}' },
    signal,
  )

test('Z5 what is posted arrives whole, and the answer is told', async () => {
  expect(await post(`${target.url}/hook?x=1`)).toEqual({
    httpStatus: 200,
    responseBody: 'thanks',
    error: null,
    refused: false,
  })
  expect(target.received[0]).toMatchObject({ path: '/hook?x=1', body: '{"a":"ä"}', id: 'whd_1' })
  expect(target.received[0]!.headers['content-length']).toBe('10')
})

test('Z5 a redirect is not followed', async () => {
  const other = await receiver()
  target.answer = status(307, { location: other.url })
  expect((await post(target.url)).httpStatus).toBe(307)
  expect(other.received).toEqual([])
  await other.close()
})

test('Z5 of an endless body the first 4 kB are read, and the connection is ended', async () => {
  const closed = Promise.withResolvers<void>()
  target.answer = (_received, response) => {
    response.once('close', closed.resolve)
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(10_000)));
      response.once('drain', more)
    }
    more()
  }
  const { httpStatus, responseBody } = await post(target.url)
  expect([httpStatus, responseBody?.length]).toEqual([200, 4096])
  await closed.promise
})

test('Z5 who never answers is left when the time is over; who answers and then drips is believed', async () => {
  target.answer = () => {}
  expect(await post(target.url, 50)).toMatchObject({ httpStatus: null, error: 'no answer within 0.05 s' })
  target.answer = (_received, response) => response.writeHead(200).write('so ')
  expect(await post(target.url, 100)).toMatchObject({ httpStatus: 200, responseBody: 'so ', error: null })
})

test('Z5 a connection that is refused, cut, or no http is a failure with a word for it', async () => {
  target.answer = (_received, response) => response.destroy()
  expect(await post(target.url)).toMatchObject({ httpStatus: null, error: 'socket hang up' })
  const babble = createServer((socket) => socket.resume().end('what?\r\n\r\n'))
  await new Promise<void>((listening) => babble.listen(0, '127.0.0.1', listening))
  const { port } = babble.address() as AddressInfo
  expect((await post(`http://127.0.0.1:${port}/`)).error).toMatch(/Parse Error/)
  await new Promise((closed) => babble.close(closed))
  expect((await post(`http://127.0.0.1:${port}/`)).error).toMatch(/ECONNREFUSED/)
  expect((await post(target.url.replace('http:', 'https:'))).error).not.toBeNull()
})

test('Z5 a request that is cut by the server tells nothing', async () => {
  const cut = new AbortController()
  target.answer = () => cut.abort(new Error('the server stops'))
  expect(await post(target.url, 5_000, cut.signal)).toMatchObject({ httpStatus: null, error: 'the server stops' })
})
