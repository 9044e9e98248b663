import { expect, test } from 'vitest'
import { Projections } from '../src/log/projections.ts'
import { testServer } from './support/server.ts'

test('L8 a kept text is used until its session changes, and one made meanwhile is not kept', async () => {
  const projections = new Projections()
  let made = 0
  const make = async () => `text ${++made}`
  expect(await projections.text('a', 'status', make)).toBe('text 1')
  expect(await projections.text('a', 'status', make)).toBe('text 1')
  projections.forget('a')
  expect(await projections.text('a', 'status', make)).toBe('text 2')
  projections.forget('a')
  // The session changes while the text is being made: who asked gets it, nobody else.
  const { promise, resolve } = Promise.withResolvers<string>()
  const slow = projections.text('a', 'status', () => promise)
  projections.forget('a')
  resolve('old')
  expect(await slow).toBe('old')
  expect(await projections.text('a', 'status', make)).toBe('text 3')
  await expect(projections.text('b', 'status', () => Promise.reject(new Error('none')))).rejects.toThrow('none')
  expect(await projections.text('b', 'status', make)).toBe('text 4')
})

test('L9 a poller sees every change of a session at once, its end too', async () => {
  const server = await testServer()
  const { id, uuid } = await server.create('hold')
  await server.event(id, ({ type }) => type === 'agent.message')
  const status = async () => await server.get<{ status: string; messages: unknown[] }>(`/status/${uuid}`)
  expect(await status()).toMatchObject({ status: 'running', messages: [{}, {}] })
  await server.request('POST', `/cancel/${uuid}`)
  expect((await status()).status).toBe('cancelled')
  await server.request('POST', '/execute/', { prompt: 'say more', resume_session_id: uuid })
  await server.idle(id)
  expect(await status()).toMatchObject({ status: 'completed' })
  await server.request('DELETE', `/sessions/${uuid}`)
  expect((await server.request('GET', `/status/${uuid}`)).status).toBe(404)
  await server.stop()
})
