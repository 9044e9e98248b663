import type { Deployment, DeploymentRun } from '@troupe/protocol/deployment'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type TestServer, testServer } from '../support/server.ts'

const HOUR = 3_600_000
let server: TestServer
let operator = ''
let ahead = 0
const clock = { now: () => Date.now() + ahead }
beforeAll(async () => {
  ahead = HOUR / 4 - (Date.now() % HOUR)
  server = await testServer({ auth: 'on' }, { onFirstKey: (secret) => (operator = secret), clock })
})
afterAll(() => server.stop())

const call = (key: string, method: string, path: string, body?: unknown) =>
  server.request(method, path, body, { 'x-api-key': key })
const good = async <T>(key: string, method: string, path: string, body?: unknown): Promise<T> => {
  const { status, text, body: answer } = await call(key, method, path, body)
  expect([path, status, text]).toEqual([path, 200, text])
  return answer as T
}
const keyOf = (fields: object) =>
  good<{ id: string; secret: string }>(operator, 'POST', '/v1/api_keys', { name: 'key', ...fields })
const ALL = ['sessions:read', 'sessions:write', 'deployments:read', 'deployments:write']
const BODY = {
  name: 'Report',
  agent: 'agent_default',
  initial_events: [{ type: 'user.message', content: 'hello' }],
  schedule: { type: 'cron', expression: '0 * * * *', timezone: 'UTC', jitter_seconds: 0 },
}

test('DE13 nothing of another workspace is found, and a deployment does what its key may do when it runs', async () => {
  const mine = await keyOf({ scopes: ALL, policy: { session_budget_cents: '200' } })
  const { id: workspace_id } = await good<{ id: string }>(operator, 'POST', '/v1/workspaces', { name: 'other' })
  const stranger = await keyOf({ scopes: ALL, workspace_id })
  const weak = await keyOf({ scopes: ['deployments:read', 'deployments:write'] })
  const { id } = await good<Deployment>(mine.secret, 'POST', '/v1/deployments', BODY)
  const run = await good<DeploymentRun>(mine.secret, 'POST', `/v1/deployments/${id}/run`)
  for (const [method, path] of [
    ['GET', `/v1/deployments/${id}`],
    ['POST', `/v1/deployments/${id}`],
    ['POST', `/v1/deployments/${id}/run`],
    ['POST', `/v1/deployments/${id}/pause`],
    ['POST', `/v1/deployments/${id}/archive`],
    ['GET', `/v1/deployment_runs/${run.id}`],
  ] as const)
    expect([path, (await call(stranger.secret, method, path, method === 'GET' ? undefined : {})).status]).toEqual([
      path,
      404,
    ])
  for (const path of ['/v1/deployments', '/v1/deployment_runs', `/v1/deployment_runs?deployment_id=${id}`])
    expect((await good<{ data: unknown[] }>(stranger.secret, 'GET', path)).data).toEqual([])
  // Who may not start sessions may not say which are started either.
  for (const [path, body] of [
    ['', BODY],
    [`/${id}`, { name: 'Other' }],
    [`/${id}/run`, {}],
    [`/${id}/unpause`, {}],
  ] as const)
    expect((await call(weak.secret, 'POST', `/v1/deployments${path}`, body)).body.code).toBe('scope_missing')
  // Its policy holds for what it started.
  const cost = async (session: string | null) =>
    (await good<{ budget: { max_list_cost: { amount: string } } }>(mine.secret, 'GET', `/v1/sessions/${session}`))
      .budget.max_list_cost.amount
  expect(await cost(run.session_id)).toBe('200')
  const poke = () => call(operator, 'POST', '/v1/deployments', { ...BODY, schedule: null, name: 'poke' })
  const listed = async () =>
    (await good<{ data: DeploymentRun[] }>(operator, 'GET', `/v1/deployment_runs?trigger_type=schedule&order=asc`)).data
  ahead += HOUR
  await poke()
  await vi.waitFor(async () => expect((await listed()).length).toBe(1), 20_000)
  expect(await cost((await listed())[0]!.session_id)).toBe('200')
  await good(operator, 'DELETE', `/v1/api_keys/${mine.id}`)
  ahead += HOUR
  await poke()
  await vi.waitFor(async () => expect((await listed()).length).toBe(2), 20_000)
  expect((await listed())[1]).toMatchObject({ session_id: null, error: { type: 'unknown_error' } })
  expect(await good<Deployment>(operator, 'GET', `/v1/deployments/${id}`)).toMatchObject({
    status: 'paused',
    paused_reason: { type: 'error', error: { type: 'unknown_error' } },
  })
})
