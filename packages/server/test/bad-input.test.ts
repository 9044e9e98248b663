import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

describe('bad input', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())
  const code = async (method: string, path: string, body?: unknown) => {
    const reply = await server.request(method, path, body)
    return [reply.status, reply.body.code]
  }

  test.each([
    ['POST', '/v1/sessions', { agent: 'agent_none' }, 404, 'agent_not_found'],
    ['POST', '/v1/sessions', { environment_id: 'env_none' }, 404, 'environment_not_found'],
    ['POST', '/v1/sessions', { metadata: { a: 1 } }, 400, 'validation_failed'],
    ['POST', '/v1/sessions', { title: 'x'.repeat(513) }, 400, 'validation_failed'],
    ['POST', '/v1/sessions', { initial_events: [{ type: 'user.message', content: ' ' }] }, 400, 'validation_failed'],
    ['POST', '/v1/sessions', '{', 400, 'invalid_json'],
    ['POST', '/v1/sessions', { cwd: 'relative' }, 400, 'cwd_not_found'],
    ['POST', '/v1/sessions', { cwd: '/etc/hostname' }, 400, 'cwd_not_a_directory'],
    ['POST', '/v1/sessions', { env: { LD_PRELOAD: 'x' } }, 400, 'env_not_allowed'],
    [
      'POST',
      '/v1/sessions',
      { initial_events: [{ type: 'user.message', content: 'x'.repeat(1024 * 1024 + 1) }] },
      413,
      'body_too_large',
    ],
    ['POST', '/v1/sessions', `"${'x'.repeat(33 * 1024 * 1024)}"`, 413, 'body_too_large'],
    ['GET', '/v1/sessions?limit=0', undefined, 400, 'validation_failed'],
    ['GET', '/v1/sessions?limit=1001', undefined, 400, 'validation_failed'],
    ['GET', '/v1/sessions?statuses[]=done', undefined, 400, 'validation_failed'],
    ['GET', '/v1/sessions?created_at[gt]=yesterday', undefined, 400, 'validation_failed'],
    ['GET', '/v1/sessions?page=nonsense', undefined, 400, 'invalid_cursor'],
    ['GET', '/v1/sessions?nobody_knows=this', undefined, 200, undefined],
    ['GET', '/v1/sessions/..%2F..%2Fetc', undefined, 404, 'session_not_found'],
    ['POST', '/v1/sessions/sesn_00000000000000000000000000/events', { events: [] }, 400, 'validation_failed'],
  ] as const)('B1 bad input is refused with what is wrong: %s %s', async (method, path, body, status, word) => {
    expect(await code(method, path, body)).toEqual([status, word])
  })
})
