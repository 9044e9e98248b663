import type { UsageReport } from '@troupe/protocol/usage-report'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

describe('GET /v1/usage', () => {
  let now = Date.parse('2026-03-01T10:00:00Z')
  let server: TestServer
  const ids: string[] = []
  const report = (query = '') => server.get<UsageReport>(`/v1/usage?${query}`)
  const rows = async (query: string) =>
    (await report(query)).data.map(({ group, cost_usd, turns }) => [...Object.values(group), cost_usd, turns])

  beforeAll(async () => {
    server = await testServer({}, { clock: { now: () => now } })
    // Three days, two teams; the second session is of no team and is deleted.
    for (const [prompt, metadata] of [
      ['cost 0.5', { team: 'red' }],
      ['cost 0.25', {}],
      ['cost 0.125', { team: 'blue' }],
    ] as const) {
      const { id } = await server.create(prompt, { metadata })
      await server.idle(id)
      ids.push(id)
      now += 24 * 3_600_000
    }
    await server.send(ids[0]!, 'cost 0.75')
    await server.idle(ids[0]!)
    await server.request('DELETE', `/v1/sessions/${ids[1]}`)
  })
  afterAll(() => server.stop())

  test('M16 without groups it is one row, which is the total; deleted sessions are in it', async () => {
    const { data, totals, next_page } = await report()
    expect(data).toHaveLength(1)
    expect(data[0]).toMatchObject({ group: {}, cost_usd: 1.125, turns: 4, model_requests: 4, unreported_requests: 0 })
    expect(totals).toMatchObject({ type: 'usage_totals', cost_usd: 1.125, list_cost: { amount: '113' }, turns: 4 })
    expect(totals.cache_hit_ratio).toBe(0)
    expect(next_page).toBeNull()
  })

  test('M16 it groups by day, model, agent, key, session, turn and metadata, alone and together', async () => {
    expect(await rows('group_by[]=day')).toEqual([
      ['2026-03-01', 0.5, 1],
      ['2026-03-02', 0.25, 1],
      ['2026-03-03', 0.125, 1],
      ['2026-03-04', 0.25, 1],
    ])
    expect(await rows('group_by=model')).toEqual([['fake', 1.125, 4]])
    expect(await rows('group_by=agent')).toEqual([['agent_default', 1.125, 4]])
    expect(await rows('group_by=api_key')).toEqual([['local', 1.125, 4]])
    expect(await rows('group_by=metadata.team')).toEqual([
      [null, 0.25, 1],
      ['blue', 0.125, 1],
      ['red', 0.75, 2],
    ])
    expect(await rows('group_by=metadata.%22%5D%27')).toEqual([[null, 1.125, 4]])
    expect(await rows('group_by=turn')).toHaveLength(4)
    expect(new Map((await rows('group_by[]=session')).map(([id, cost]) => [id, cost]))).toEqual(
      new Map(ids.map((id, index) => [id, [0.75, 0.25, 0.125][index]])),
    )
    expect(await rows('group_by[]=metadata.team&group_by[]=day&order=desc')).toEqual([
      ['red', '2026-03-04', 0.25, 1],
      ['red', '2026-03-01', 0.5, 1],
      ['blue', '2026-03-03', 0.125, 1],
      [null, '2026-03-02', 0.25, 1],
    ])
  })

  test('M16 filters hold, for deleted sessions too, and what is not there has used nothing', async () => {
    expect(await rows('created_at[gte]=2026-03-02T00:00:00Z&created_at[lt]=2026-03-04T00:00:00Z&group_by=day')).toEqual(
      [
        ['2026-03-02', 0.25, 1],
        ['2026-03-03', 0.125, 1],
      ],
    )
    expect(await rows(`session_id=${ids[1]}`)).toEqual([[0.25, 1]])
    expect(await rows('agent_id=agent_default')).toEqual([[1.125, 4]])
    for (const query of ['agent_id=agent_x', 'session_id=nonsense', 'created_at[gt]=2027-01-01T00:00:00Z'])
      expect(await report(query)).toMatchObject({ data: [], totals: { cost_usd: 0, turns: 0, cache_hit_ratio: null } })
  })

  test('M17 pages hold every row once, in either order, with the totals of all', async () => {
    for (const order of ['asc', 'desc']) {
      const all = await rows(`group_by=turn&order=${order}`)
      const seen: unknown[] = []
      for (let page: string | null = ''; page !== null;) {
        const { data, totals, next_page } = await report(
          `group_by=turn&order=${order}&limit=3${page && `&page=${page}`}`,
        )
        seen.push(...data.map(({ group, cost_usd, turns }) => [group.turn, cost_usd, turns]))
        expect(totals.cost_usd).toBe(1.125)
        page = next_page
      }
      expect(seen).toEqual(all)
    }
    const { next_page } = await report('group_by=turn&limit=1')
    const other = await server.request('GET', `/v1/usage?group_by=session&limit=1&page=${next_page}`)
    expect(other.body.code).toBe('invalid_cursor')
  })

  test('M17 groups that do not exist, or too many, are refused', async () => {
    for (const query of [
      'group_by=cwd',
      'group_by=metadata.',
      'group_by[]=day&group_by[]=model&group_by[]=agent&group_by[]=turn&group_by[]=session',
      'created_at[gte]=yesterday',
      'limit=0',
    ])
      expect([query, (await server.request('GET', `/v1/usage?${query}`)).body.code]).toEqual([
        query,
        'validation_failed',
      ])
  })

  test('M17 an entry of a turn that runs is in the report before the turn has ended', async () => {
    const { id } = await server.create('spend 0.01', { env: { FAKE_USAGE: '1' } })
    await expect.poll(async () => (await report(`session_id=${id}`)).totals.cost_usd).toBeGreaterThan(0)
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    const session = await server.idle(id)
    expect((await report(`session_id=${id}`)).totals).toMatchObject({
      cost_usd: session.usage.cost_usd,
      unreported_requests: session.usage.unreported_requests,
    })
  })
})
