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

  test('B2 of a value that may have several forms it is said what is wrong with the one that was meant', async () => {
    const wrong = async (body: object) => {
      const { errors } = (await server.request('POST', '/v1/sessions', body)).body as { errors: { pointer: string }[] }
      return errors.map(({ pointer }) => pointer)
    }
    const inline = (fields: object) => ({ agent: { type: 'inline', ...fields } })
    expect(await wrong(inline({ permission_rules: [{ rule: 'Bash', policy: 'ask' }] }))).toEqual(
      expect.arrayContaining([expect.stringMatching(/^\/agent\/permission_rules\/0\//)]),
    )
    expect(await wrong(inline({ permission_mode: 'anything' }))).toEqual(['/agent/permission_mode'])
    expect(await wrong(inline({ system: 7 }))).toEqual(['/agent/system'])
    // What has the form of none stays a mistake of the whole.
    expect(await wrong({ agent: 7 })).toEqual(['/agent'])
    expect(await wrong({ agent: { type: 'nothing' } })).toEqual([expect.stringMatching(/^\/agent/)])
  })
})
