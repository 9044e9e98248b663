import type { Session } from '@troupe/protocol/session'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { random } from './support/chaos/random.ts'
import { type TestServer, testServer } from './support/server.ts'

describe('finding sessions', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.stop())
  const find = async (query: Record<string, string> | string) => {
    const text = typeof query === 'string' ? query : new URLSearchParams(query).toString()
    const reply = await server.request('GET', `/v1/sessions?${text}`)
    expect([reply.status, reply.text]).toEqual([200, reply.text])
    return (reply.body as unknown as { data: Session[] }).data.map(({ title, id }) => title ?? id)
  }
  const make = (title: string, fields: object = {}) => server.create(null, { title, ...fields })

  test('SE1 sessions are found by their metadata, all pairs of it, as it is now, with every other filter and page', async () => {
    await make('a', { metadata: { team: 'docs', 'odd key]"=': 'x' } })
    const b = await make('b', { metadata: { team: 'docs', ticket: '7' } })
    await make('c', { metadata: { team: 'ops', ticket: '7' } })
    expect(await find({ 'metadata[team]': 'docs' })).toEqual(['b', 'a'])
    expect(await find({ 'metadata[team]': 'docs', 'metadata[ticket]': '7' })).toEqual(['b'])
    expect(await find({ 'metadata[odd key]"=]': 'x' })).toEqual(['a'])
    expect(await find({ 'metadata[team]': 'doc' })).toEqual([])
    expect(await find({ 'metadata[team]': "docs' or 1=1 --" })).toEqual([])
    await server.post(`/v1/sessions/${b.id}`, { metadata: { team: 'ops' } })
    expect(await find({ 'metadata[team]': 'docs' })).toEqual(['a'])
    expect(await find({ 'metadata[team]': 'ops', order: 'asc' })).toEqual(['b', 'c'])
    await server.post(`/v1/sessions/${b.id}/archive`)
    expect(await find({ 'metadata[team]': 'ops' })).toEqual(['c'])
    expect(await find({ 'metadata[team]': 'ops', include_archived: 'true' })).toEqual(['c', 'b'])
    const first = await server.get<{ data: Session[]; next_page: string; total_count: number }>(
      '/v1/sessions?metadata[ticket]=7&include_archived=true&limit=1&count=true',
    )
    expect([first.data[0]!.title, first.total_count]).toEqual(['c', 2])
    const next = `/v1/sessions?metadata[ticket]=7&include_archived=true&limit=1&page=${first.next_page}`
    expect((await server.get<{ data: Session[] }>(next)).data[0]!.title).toBe('b')
    // A page belongs to its question.
    const other = await server.request('GET', next.replace('ticket]=7', 'ticket]=8'))
    expect([other.status, other.body.code]).toEqual([400, 'invalid_cursor'])
  })

  test('SE2 sessions are found by words of title, last prompt and result, in any language, and not by what they said before', async () => {
    const { id } = await server.create('say Elephants are grey', { title: 'Zoo "night"' })
    await server.idle(id)
    expect(await find({ q: 'elephants' })).toEqual(['Zoo "night"'])
    expect(await find({ q: 'zoo grey ARE' })).toEqual(['Zoo "night"'])
    expect(await find({ q: '"are grey"' })).toEqual(['Zoo "night"'])
    expect(await find({ q: '"grey are"' })).toEqual([])
    expect(await find({ q: 'elephants giraffes' })).toEqual([])
    expect(await find({ q: 'lepha' })).toEqual(['Zoo "night"'])
    const japanese = await server.create('say 東京の動物園へ行く', { title: 'J' })
    await server.idle(japanese.id)
    expect(await find({ q: '動物園' })).toEqual(['J'])
    await server.post(`/v1/sessions/${id}`, { title: 'Aquarium' })
    expect(await find({ q: 'zoo' })).toEqual([])
    expect(await find({ q: 'aquarium', 'statuses[]': 'idle' })).toEqual(['Aquarium'])
    expect(await find({ q: 'aquarium', 'statuses[]': 'running' })).toEqual([])
    await server.request('DELETE', `/v1/sessions/${id}`)
    expect(await find({ q: 'aquarium', include_archived: 'true' })).toEqual([])
  })

  test('SE3 what cannot be searched for is refused, and words are words, whatever stands in them', async () => {
    for (const query of [
      'q=',
      'q=ab',
      'q=%22%22',
      `q=${'x'.repeat(201)}`,
      'metadata[]=x',
      `metadata[${'k'.repeat(65)}]=x`,
      `metadata[k]=${'v'.repeat(513)}`,
    ]) {
      const reply = await server.request('GET', `/v1/sessions?${query}`)
      expect([query, reply.status, reply.body.code]).toEqual([query, 400, 'validation_failed'])
    }
    const many = Array.from({ length: 17 }, (_, n) => `metadata[k${n}]=v`).join('&')
    expect((await server.request('GET', `/v1/sessions?${many}`)).status).toBe(400)
    for (const q of [
      'NEAR(abc def)',
      'text:abc',
      'abc*',
      '^abc',
      "abc' OR 1",
      'abc AND NOT def',
      '(((',
      '-abc',
      '\u0000abc',
    ])
      await find({ q: `${q} xyz` })
  })

  test('SE4 another workspace finds nothing of it, by neither words nor pairs', async () => {
    const keys: string[] = []
    const locked = await testServer({ auth: 'on' }, { onFirstKey: (secret) => keys.push(secret) })
    const as = (key: string) => ({ 'x-api-key': key })
    const { id } = await locked.post<{ id: string }>('/v1/workspaces', { name: 'other' }, as(keys[0]!))
    const { secret } = await locked.post<{ secret: string }>(
      '/v1/api_keys',
      { name: 'k', workspace_id: id, scopes: ['sessions:read', 'sessions:write'] },
      as(keys[0]!),
    )
    await locked.post('/v1/sessions', { title: 'hidden words', metadata: { a: 'b' } }, as(keys[0]!))
    for (const query of ['q=hidden', 'metadata[a]=b']) {
      const found = async (key: string) =>
        (await locked.request('GET', `/v1/sessions?${query}&count=true`, undefined, as(key))).body as never as {
          data: unknown[]
          total_count: number
        }
      expect([(await found(keys[0]!)).data.length, (await found(keys[0]!)).total_count]).toEqual([1, 1])
      expect([(await found(secret)).data.length, (await found(secret)).total_count]).toEqual([0, 0])
    }
    await locked.stop()
  })

  test('SE5 whatever happens to sessions, what finds them is what they say', async () => {
    const seed = Date.now() % 1_000_000
    const chance = random(seed, 'search')
    const words = ['alpha', 'bravo', 'charlie', 'delta']
    const known = new Map<string, { title: string; metadata: Record<string, string> }>()
    const before = new Set((await server.get<{ data: Session[] }>('/v1/sessions?limit=1000')).data.map(({ id }) => id))
    for (let step = 0; step < 120; step++) {
      const word = () => words[chance.int(0, words.length - 1)]!
      const ids = [...known.keys()]
      const id = ids[chance.int(0, Math.max(0, ids.length - 1))]
      if (id === undefined || chance.chance(0.4)) {
        const fields = { title: `${word()} ${word()}`, metadata: { w: word() } }
        known.set((await server.create(null, fields)).id, fields)
      } else if (chance.chance(0.6)) {
        const fields = { title: word(), metadata: { w: word() } }
        await server.post(`/v1/sessions/${id}`, fields)
        known.set(id, fields)
      } else {
        await server.request('DELETE', `/v1/sessions/${id}`)
        known.delete(id)
      }
    }
    const found = async (query: string) =>
      (await server.get<{ data: Session[] }>(`/v1/sessions?limit=1000&${query}`)).data
        .map(({ id }) => id)
        .filter((id) => !before.has(id))
        .toSorted()
    for (const word of words) {
      const titled = [...known].filter(([, { title }]) => title.includes(word)).map(([id]) => id)
      const paired = [...known].filter(([, { metadata }]) => metadata.w === word).map(([id]) => id)
      expect([seed, word, await found(`q=${word}`)]).toEqual([seed, word, titled.toSorted()])
      expect([seed, word, await found(`metadata[w]=${word}`)]).toEqual([seed, word, paired.toSorted()])
    }
  })
})
