import { ApiError, ERRORS, errorBody, type ErrorCode } from '@troupe/protocol/error'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { testServer } from './support/server.ts'

test('E1 the documented error codes are those of the code, with status, type and whether to try again', () => {
  const rows = [
    ...readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8').matchAll(
      /^\| `(\w+)` \| (\d+) \| `(\w+)` \| (yes|no) \| .{20,} \|$/gm,
    ),
  ]
  expect(rows.map(([, code, status, type, again]) => [code, Number(status), type, again === 'yes'])).toEqual(
    Object.entries(ERRORS).map(([code, { status, type, retry }]) => [code, status, type, retry]),
  )
})

test('E2 one body for three readers, with the request id of the header', async () => {
  const server = await testServer()
  const { status, body, headers } = await server.request('GET', '/v1/sessions/sesn_nope?x=1')
  expect(status).toBe(404)
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/)
  const detail = 'Session "sesn_nope" does not exist.'
  expect(body).toEqual({
    ...errorBody(new ApiError('session_not_found', detail), '/v1/sessions/sesn_nope', headers.get('request-id')!),
  })
  expect(body).toMatchObject({ detail, error: { type: 'not_found_error', message: detail } })
  expect(headers.get('x-should-retry')).toBe('false')
  const wrong = await server.request('DELETE', '/v1/info')
  expect([wrong.status, wrong.body.code, wrong.headers.get('allow')]).toEqual([405, 'method_not_allowed', 'GET'])
  expect((await server.request('GET', '/nowhere')).body.code).toBe('route_not_found' satisfies ErrorCode)
  await server.stop()
})
