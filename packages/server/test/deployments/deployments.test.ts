import type { Deployment, DeploymentRun } from '@troupe/protocol/deployment'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Session } from '@troupe/protocol/session'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Clock } from '../../src/lib/clock.ts'
import type { Store } from '../../src/store/store.ts'
import { DeploymentChanged, TickTaken } from '../../src/store/deployments.ts'
import type { SessionChange } from '../../src/store/session-change.ts'
import type { SessionRow } from '../../src/store/session-row.ts'
import { StorageUnavailable } from '../../src/store/errors.ts'
import { makeRepository } from '../support/git-host.ts'
import { type TestServer, testServer } from '../support/server.ts'

const say = (text: string) => ({ type: 'user.message', content: [{ type: 'text', text }] })
const EVERY_HOUR = { type: 'cron', expression: '0 * * * *', timezone: 'UTC', jitter_seconds: 0 }
const BODY = { name: 'Report', agent: 'agent_default', environment_id: 'env_default', initial_events: [say('hello')] }
const HOUR = 3_600_000

describe('deployments', () => {
  let server: TestServer
  /** Sets the clock forward; otherwise it goes as clocks do. */
  let ahead: number
  let base: number
  let broken: boolean
  let tries: number
  /** Told of each session that has just been written. */
  let written: (store: Store, id: string) => Promise<void>
  const clock: Clock = { now: () => Date.now() + ahead }
  const hour = (n: number) => new Date(base + n * HOUR).toISOString()

  beforeEach(async () => {
    // A quarter past, so that no tick comes by itself while the test runs.
    base = Math.ceil(Date.now() / HOUR) * HOUR
    ahead = base + HOUR / 4 - Date.now()
    broken = false
    tries = 0
    written = async () => undefined
    const wrapStore = (store: Store) =>
      new Proxy(store, {
        get(target, name) {
          if (name === 'createSession' && broken)
            return () => {
              tries++
              return Promise.reject(new StorageUnavailable('disk_full', new Error('full')))
            }
          if (name === 'createSession')
            return async (row: SessionRow, change: SessionChange) => {
              const done = await target.createSession(row, change)
              await written(target, row.id)
              return done
            }
          const value = Reflect.get(target, name) as unknown
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    server = await testServer({}, { clock, wrapStore })
  })
  afterEach(() => server.stop())

  const make = (fields: object = {}) =>
    server.post<Deployment>('/v1/deployments', { ...BODY, schedule: EVERY_HOUR, ...fields })
  const runs = async (query = '') =>
    (await server.get<{ data: DeploymentRun[] }>(`/v1/deployment_runs?order=asc&${query}`)).data
  const get = (id: string) => server.get<Deployment>(`/v1/deployments/${id}`)
  /** Lets the server look at what is due, and waits until its schedules stand in the future. */
  const look = async () => {
    await server.request('POST', '/v1/deployments/depl_none/pause')
    await server.post(`/v1/deployments`, { ...BODY, name: 'poke' })
    await vi.waitFor(async () => expect(await server.app.store.deployments.due(clock.now(), 1)).toEqual([]), 20_000)
  }

  test('DE5 a tick starts a session of the deployment, with its run, and the next tick is the one after it', async () => {
    const made = await make({ metadata: { team: 'ops' }, budget: budget('500') })
    expect(made).toMatchObject({
      type: 'deployment',
      status: 'active',
      agent: { type: 'agent', id: 'agent_default', version: 1 },
      metadata: { team: 'ops' },
      budget: budget('500'),
      schedule: { last_run_at: null, upcoming_runs_at: [hour(1), hour(2), hour(3), hour(4), hour(5)] },
    })
    await look()
    expect(await runs()).toEqual([])
    ahead += HOUR
    await look()
    const [run, ...others] = await runs()
    expect(others).toEqual([])
    expect(run).toMatchObject({
      type: 'deployment_run',
      deployment_id: made.id,
      agent: made.agent,
      error: null,
      trigger_context: { type: 'schedule', scheduled_at: hour(1) },
    })
    const session = await server.idle(run!.session_id!)
    expect(session).toMatchObject({ title: 'Report', deployment_id: made.id, budget: budget('500') })
    expect((await server.turns(session.id)).length).toBe(1)
    const now = await get(made.id)
    expect([now.schedule!.last_run_at, now.schedule!.upcoming_runs_at[0]]).toEqual([run!.created_at, hour(2)])
    expect(await server.get(`/v1/deployment_runs/${run!.id}`)).toEqual(run)
    const fork = await server.post<Session>(`/v1/sessions/${session.id}/fork`, {})
    expect(fork.deployment_id).toBeNull()
  })

  test('DE6 of ticks that nobody was there for the latest is run once, or none where they are to be skipped', async () => {
    const { id } = await make()
    const skips = await make({ schedule: { ...EVERY_HOUR, missed: 'skip' } })
    await server.app.stop()
    ahead += 5 * HOUR
    await server.restart()
    await look()
    expect((await runs()).map((run) => [run.deployment_id, run.trigger_context.scheduled_at])).toEqual([[id, hour(5)]])
    expect((await get(skips.id)).schedule!.upcoming_runs_at[0]).toBe(hour(6))
    // From then on both go on; a tick that is not late is not missed.
    ahead = base + 6 * HOUR + 1000 - Date.now()
    await look()
    expect((await runs('trigger_type=schedule')).length).toBe(3)
  })

  test('DE7 a tick is run once: over restarts, clocks that are set back, and what fails before or after its transaction', async () => {
    const { id } = await make()
    broken = true
    ahead += HOUR
    await server.request('POST', '/v1/deployments', { ...BODY, name: 'poke' })
    await vi.waitFor(() => expect(tries).toBe(1), 20_000)
    expect(await runs()).toEqual([])
    // Nothing of the try is left: the tick is due as before.
    expect((await server.app.store.deployments.due(clock.now(), 9)).map((row) => row.id)).toEqual([id])
    broken = false
    await look()
    expect((await runs()).length).toBe(1)
    await server.restart()
    await look()
    expect((await runs()).length).toBe(1)
    // Set back by an hour, and told to begin anew: the tick comes again, and is not run again.
    ahead -= HOUR
    await server.post(`/v1/deployments/${id}/pause`)
    await server.post(`/v1/deployments/${id}/unpause`)
    expect((await get(id)).schedule!.upcoming_runs_at[0]).toBe(hour(1))
    ahead += HOUR
    await look()
    expect((await runs()).length).toBe(1)
    expect((await server.get<{ data: Session[] }>('/v1/sessions')).data.length).toBe(1)
    ahead += HOUR
    await look()
    expect((await runs()).map((run) => run.trigger_context.scheduled_at)).toEqual([hour(1), hour(2)])
  })

  test('DE8 of two that would run the same tick one does, and the session of the other is not there', async () => {
    const { id } = await make()
    const { store } = server.app
    const row = (await store.deployments.read(null, id))!
    const session = await server.create(null)
    const template = (await store.readSession(session.id))!
    const tick = { version: row.version, nextAt: base + 2 * HOUR, fireAt: base + 2 * HOUR }
    const claim = (n: number, version: number) => {
      const run = {
        id: `drun_${n}`,
        deploymentId: id,
        workspaceId: row.workspaceId,
        agentId: row.agentId,
        agentVersion: 1,
        sessionId: `sesn_${n}`,
        error: null,
        scheduledAt: base + HOUR,
        createdAt: clock.now(),
      }
      return store.createSession(
        { ...template, id: `sesn_${n}`, lastSeq: 0 },
        { sessionId: `sesn_${n}`, at: clock.now(), deploymentRun: { run, tick: { ...tick, version } } },
      )
    }
    const [first, second] = await Promise.allSettled([claim(1, row.version), claim(2, row.version)])
    expect([first!.status, second!.status]).toEqual(['fulfilled', 'rejected'])
    expect((second as PromiseRejectedResult).reason).toBeInstanceOf(DeploymentChanged)
    await expect(claim(3, row.version + 1)).rejects.toBeInstanceOf(TickTaken)
    expect([await store.readSession('sesn_2'), await store.readSession('sesn_3')]).toEqual([null, null])
    expect((await runs()).map((run) => run.id)).toEqual(['drun_1'])
  })

  test('DE9 paused it runs by hand only, unpaused it goes on with the next tick, and archived it runs no more', async () => {
    const { id } = await make()
    const paused = await server.post<Deployment>(`/v1/deployments/${id}/pause`)
    expect(paused).toMatchObject({ status: 'paused', paused_reason: { type: 'manual' } })
    expect(paused.schedule!.upcoming_runs_at.length).toBe(5)
    ahead += 3 * HOUR
    await look()
    expect(await runs()).toEqual([])
    const key = { 'idempotency-key': 'run-1' }
    const run = await server.post<DeploymentRun>(`/v1/deployments/${id}/run`, undefined, key)
    expect(run).toMatchObject({ error: null, trigger_context: { type: 'manual' } })
    expect(await server.post(`/v1/deployments/${id}/run`, undefined, key)).toEqual(run)
    expect((await get(id)).schedule!.last_run_at).toBeNull()
    const on = await server.post<Deployment>(`/v1/deployments/${id}/unpause`)
    expect([on.status, on.paused_reason]).toEqual(['active', null])
    await look()
    expect((await runs()).map((each) => each.id)).toEqual([run.id])
    const archived = await server.post<Deployment>(`/v1/deployments/${id}/archive`)
    expect([archived.status, archived.schedule!.upcoming_runs_at]).toEqual(['active', []])
    expect(await server.post(`/v1/deployments/${id}/archive`)).toEqual(archived)
    ahead += 3 * HOUR
    await look()
    expect((await runs()).length).toBe(1)
    for (const path of ['', '/run', '/pause', '/unpause']) {
      const refused = await server.request('POST', `/v1/deployments/${id}${path}`, {})
      expect([refused.status, refused.body.code]).toEqual([400, 'deployment_archived'])
    }
  })

  test('DE10 a session that cannot be started is a run with its error, and what cannot pass by itself pauses', async () => {
    const agent = await server.post<{ id: string }>('/v1/agents', { name: 'Old', model: 'claude-opus-5-5' })
    const gone = await make({ agent: agent.id })
    const refused = await make({ cwd: '/nowhere/at/all' })
    await server.post(`/v1/agents/${agent.id}/archive`)
    ahead += HOUR
    await look()
    const failed = await runs('has_error=true')
    expect(failed.map((run) => [run.deployment_id, run.error!.type, run.session_id])).toEqual(
      expect.arrayContaining([
        [gone.id, 'agent_archived_error', null],
        [refused.id, 'session_creation_rejected_error', null],
      ]),
    )
    expect(await get(gone.id)).toMatchObject({
      status: 'paused',
      paused_reason: { type: 'error', error: { type: 'agent_archived_error' } },
    })
    expect((await get(refused.id)).status).toBe('active')
    expect((await runs('has_error=false')).length).toBe(0)
  })

  test('DE11 what is changed is checked, merged and kept; sessions that were started stay', async () => {
    const { id } = await make({ description: 'Hourly', metadata: { a: '1', b: '2' } })
    const changed = await server.post<Deployment>(`/v1/deployments/${id}`, {
      name: 'Daily',
      description: null,
      metadata: { a: null, c: '3' },
      schedule: { type: 'cron', expression: '0 9 * * *', timezone: 'Europe/Berlin' },
    })
    expect(changed).toMatchObject({
      name: 'Daily',
      description: null,
      metadata: { b: '2', c: '3' },
      initial_events: [say('hello')],
      schedule: { expression: '0 9 * * *', timezone: 'Europe/Berlin', jitter_seconds: 10, missed: 'latest' },
    })
    expect(await server.post(`/v1/deployments/${id}`, { name: 'Daily' })).toEqual(changed)
    expect((await server.post<Deployment>(`/v1/deployments/${id}`, { schedule: null })).schedule).toBeNull()
    const refused = async (path: string, body: object, code: string) =>
      expect((await server.request('POST', path, body)).body.code).toBe(code)
    const path = `/v1/deployments/${id}`
    await refused(path, { schedule: { ...EVERY_HOUR, expression: '0 0 31 2 *' } }, 'validation_failed')
    await refused(path, { schedule: { ...EVERY_HOUR, timezone: 'Nowhere' } }, 'validation_failed')
    await refused(path, { agent: 'agent_none' }, 'agent_not_found')
    await refused(path, { environment_id: 'env_none' }, 'environment_not_found')
    await refused(path, { vault_ids: ['vlt_1'] }, 'unsupported_feature')
    await refused(path, { initial_events: [] }, 'validation_failed')
    await refused(path, { initial_events: [{ type: 'system.message', content: [] }] }, 'unsupported_feature')
    await refused(path, { initial_events: [say('x'.repeat(140_000))] }, 'validation_failed')
    await refused('/v1/deployments/depl_none', {}, 'deployment_not_found')
    const none = await server.request('GET', '/v1/deployment_runs/drun_none')
    expect([none.status, none.body.code]).toEqual([404, 'deployment_run_not_found'])
  })

  test('DE14 a run whose session is deleted at once is a run that started it', async () => {
    const { id } = await make({ schedule: null })
    written = (store, session) => store.deleteSession(session, clock.now())
    const run = await server.post<DeploymentRun>(`/v1/deployments/${id}/run`)
    expect(run).toMatchObject({ error: null, session_id: expect.any(String) as string })
    expect((await server.request('GET', `/v1/sessions/${run.session_id}`)).status).toBe(410)
    expect(await runs()).toEqual([run])
  })

  test('DE15 each session is given the resources of its deployment, which are checked when saved and when run', async () => {
    const form = new FormData()
    form.set('file', new File(['one'], 'a.txt'))
    const upload = await fetch(`${server.url}/v1/files`, { method: 'POST', body: form })
    const file = (await upload.json()) as { id: string }
    const repository = join(server.folder, 'repositories', 'tool')
    makeRepository(join(server.folder, 'repositories'), 'tool', { 'README.md': 'cloned\n' })
    await server.restart({ git_sources: [`file://${join(server.folder, 'repositories')}/`] })
    const url = `file://${repository}`
    const resources = [
      { type: 'file', file_id: file.id, mount_path: '/workspace/a.txt' },
      { type: 'github_repository', url, authorization_token: 'canary-token' },
    ]
    const made = await make({ resources, schedule: null })
    const shown = [resources[0]!, { type: 'github_repository', url }]
    expect(made.resources).toEqual(shown)
    const changed = await server.post<Deployment>(`/v1/deployments/${made.id}`, {
      resources: made.resources,
      name: 'B',
    })
    expect(JSON.stringify([made, changed, await server.get('/v1/deployments')])).not.toContain('canary')
    expect((await server.app.store.deployments.read(null, made.id))!.body.resources).toEqual(resources)
    const run = () => server.post<DeploymentRun>(`/v1/deployments/${made.id}/run`)
    for (const session_id of [(await run()).session_id!, (await run()).session_id!]) {
      const { cwd, last_error } = await server.idle(session_id)
      expect(last_error).toBeNull()
      expect(readFileSync(join(cwd, 'a.txt'), 'utf8')).toBe('one')
      expect(readFileSync(join(cwd, 'tool', 'README.md'), 'utf8')).toBe('cloned\n')
    }
    const refused = async (...given: object[]) =>
      (await server.request('POST', '/v1/deployments', { ...BODY, resources: given })).body.code
    expect(await refused({ type: 'file', file_id: 'file_none' })).toBe('file_not_found')
    expect(await refused({ type: 'github_repository', url: 'https://github.com/a/b' })).toBe('repository_refused')
    expect(await refused(...resources, { ...resources[1], mount_path: '/workspace/tool/in' })).toBe('mount_path_taken')
    expect(await refused({ type: 'memory_store', memory_store_id: 'x' })).toBe('unsupported_feature')
    expect(await refused({ type: 'file', file_id: file.id, mount_path: '/etc/passwd' })).toBe('validation_failed')
    await server.post(`/v1/deployments/${made.id}`, { schedule: EVERY_HOUR })
    expect((await server.request('DELETE', `/v1/files/${file.id}`)).status).toBe(200)
    expect(await run()).toMatchObject({ session_id: null, error: { type: 'file_not_found_error' } })
    ahead += HOUR
    await look()
    expect(await get(made.id)).toMatchObject({
      paused_reason: { type: 'error', error: { type: 'file_not_found_error' } },
    })
    expect((await server.post<Deployment>(`/v1/deployments/${made.id}`, { resources: null })).resources).toEqual([])
    expect((await run()).error).toBeNull()
  })
})

const budget = (amount: string) => ({ type: 'limit', max_list_cost: { amount, currency: 'USD' } })
