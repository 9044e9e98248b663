import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { all, counted, GENERATIONS, say } from '../support/sdk-clients.ts'
import { type TestServer, testServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await testServer()
})
afterAll(() => server.stop())

describe.each(GENERATIONS)('deployments by the official SDK $version', ({ Client }) => {
  test('DE12 a deployment is created, changed, listed, paused, run and archived, and its runs are read', async () => {
    const { deployments, deploymentRuns, sessions } = new Client(counted(server.url).options).beta
    const made = await deployments.create({
      name: 'Nightly',
      agent: 'agent_default',
      environment_id: 'env_default',
      initial_events: [say('hello')],
      schedule: { type: 'cron', expression: '0 3 1 1 *', timezone: 'Asia/Tokyo' },
    })
    expect(made).toMatchObject({ type: 'deployment', status: 'active', paused_reason: null, vault_ids: [] })
    expect(made.schedule!.upcoming_runs_at!.length).toBe(5)
    expect(made.schedule!.upcoming_runs_at![0]).toMatch(/-12-31T18:00:00/)
    expect(await deployments.retrieve(made.id)).toEqual(made)
    const changed = await deployments.update(made.id, { description: 'Every year', metadata: { team: 'docs' } })
    expect(changed).toMatchObject({ description: 'Every year', metadata: { team: 'docs' }, name: 'Nightly' })
    expect(await deployments.pause(made.id)).toMatchObject({ status: 'paused', paused_reason: { type: 'manual' } })
    const found = async (params: Parameters<typeof deployments.list>[0]) =>
      (await all(deployments.list({ 'created_at[gte]': made.created_at, limit: 1, ...params }))).map(({ id }) => id)
    expect(await found({ status: 'paused', agent_id: 'agent_default' })).toEqual([made.id])
    expect(await found({ status: 'active' })).toEqual([])
    const first = await deployments.run(made.id)
    expect(first).toMatchObject({ deployment_id: made.id, error: null, trigger_context: { type: 'manual' } })
    expect((await sessions.retrieve(first.session_id!)).deployment_id).toBe(made.id)
    const second = await deployments.run(made.id)
    const started = await all(sessions.list({ deployment_id: made.id, limit: 1 }))
    expect(started.map(({ id }) => id).sort()).toEqual([first.session_id!, second.session_id!].sort())
    expect(await all(sessions.list({ deployment_id: 'depl_none' }))).toEqual([])
    expect(await deployments.unpause(made.id)).toMatchObject({ status: 'active', paused_reason: null })
    expect(await deploymentRuns.retrieve(first.id)).toEqual(first)
    const runs = await all(deploymentRuns.list({ deployment_id: made.id, limit: 1, has_error: false }))
    expect(runs).toEqual([second, first])
    expect(await all(deploymentRuns.list({ deployment_id: made.id, trigger_type: 'schedule' }))).toEqual([])
    expect((await deployments.archive(made.id)).archived_at).not.toBeNull()
    expect(await found({})).toEqual([])
    expect(await found({ include_archived: true })).toEqual([made.id])
    const gone = await deployments.retrieve('depl_none').catch((error: unknown) => error)
    expect(gone).toBeInstanceOf(Client.NotFoundError)
  })
})
