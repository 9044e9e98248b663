import { afterEach, beforeEach, expect, test } from 'vitest'
import type { DeliveryRow } from '../../src/store/webhooks.ts'
import { PAUSES, pauseAfter } from '../../src/webhooks/backoff.ts'
import { MAX_REPLAY, replay } from '../../src/webhooks/deliveries.ts'
import type { SendResult } from '../../src/webhooks/send.ts'
import { answered, delivererBench } from '../support/deliverer.ts'

let bench: Awaited<ReturnType<typeof delivererBench>>
beforeEach(async () => {
  bench = await delivererBench()
})
afterEach(() => bench.end())

const HOUR = 3_600_000
const all =
  (status: DeliveryRow['status']) =>
  (rows: DeliveryRow[]): boolean =>
    rows.length > 0 && rows.every((row) => row.status === status)
const attempted =
  (count: number) =>
  ([row]: DeliveryRow[]): boolean =>
    row?.attempts.length === count

test('Z9 pauses grow from 5 s to 8 h, some three days in all, a tenth shorter or longer', () => {
  const sum = PAUSES.reduce((total, pause) => total + pause, 0)
  expect([PAUSES[0], PAUSES.at(-1), PAUSES.length]).toEqual([5_000, 8 * HOUR, 16])
  expect(sum / HOUR).toBeCloseTo(71.7, 1)
  expect([...PAUSES].sort((a, b) => a - b)).toEqual(PAUSES)
  for (const [index, pause] of PAUSES.entries()) {
    expect(pauseAfter(index + 1, () => 0)).toBe(Math.round(pause * 0.9))
    expect(pauseAfter(index + 1, () => 1)).toBe(Math.round(pause * 1.1))
  }
  expect(pauseAfter(17)).toBeNull()
})

test('Z9 what fails is sent again after each pause under the same id, and fails for good after the last', async () => {
  bench.answer(() => Promise.resolve(answered(500)))
  const { id } = await bench.endpoint()
  const began = bench.now
  await bench.tell()
  for (let attempt = 1; attempt <= 17; attempt++) {
    const [row] = await bench.deliveries(id, attempted(attempt))
    if (attempt === 17) break
    expect([attempt, row!.status, row!.nextAt! - bench.now]).toEqual([attempt, 'pending', PAUSES[attempt - 1]])
    bench.advance(row!.nextAt!)
  }
  const [row] = await bench.deliveries(id, all('failed'))
  expect(row!.attempts).toHaveLength(17)
  expect(row!.attempts.every(({ httpStatus }) => httpStatus === 500)).toBe(true)
  expect((bench.now - began) / HOUR).toBeCloseTo(71.7, 1)
  expect(new Set(bench.sent.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  expect(bench.sent).toHaveLength(17)
  expect(await bench.hooks.readEndpoint(id)).toMatchObject({ status: 'disabled', disabledReason: 'failing' })
})

test('Z9 an attempt that succeeds ends it', async () => {
  bench.answer(() => Promise.resolve(answered(bench.sent.length === 1 ? 503 : 204)))
  const { id } = await bench.endpoint()
  await bench.tell()
  const [row] = await bench.deliveries(id, attempted(1))
  bench.advance(row!.nextAt!)
  const [done] = await bench.deliveries(id, all('delivered'))
  expect(done!.attempts.map(({ httpStatus }) => httpStatus)).toEqual([503, 204])
  expect(await bench.hooks.readEndpoint(id)).toMatchObject({ lastDeliveredAt: bench.now })
  expect(await bench.hooks.nextDue()).toBeNull()
})

const FINAL: [string, SendResult, string][] = [
  ['410', answered(410), 'gone'],
  ['a redirect', answered(302), 'redirected'],
  ['a private address', { httpStatus: null, responseBody: null, error: 'no', refused: true }, 'address_refused'],
]
test.each(FINAL)(
  'Z10 %s disables the endpoint at once; the log and the others are told',
  async (_what, result, reason) => {
    const watcher = await bench.endpoint({ types: ['webhook_endpoint.*'] })
    const { id } = await bench.endpoint({ url: 'https://bad.example/', types: ['session.*'] })
    bench.answer(({ url }) => Promise.resolve(url.includes('bad') ? result : answered(200)))
    await bench.tell()
    const [told] = await bench.deliveries(watcher.id, all('delivered'))
    expect(told).toMatchObject({ type: 'webhook_endpoint.disabled', sessionId: id })
    expect(JSON.parse(bench.sent.at(-1)!.body)).toMatchObject({ data: { type: 'webhook_endpoint.disabled', id } })
    expect(await bench.hooks.readEndpoint(id)).toMatchObject({ status: 'disabled', disabledReason: reason })
    expect(bench.warnings).toMatchObject([{ endpoint: id, reason }])
    // What was to be sent waits, and is sent when the endpoint is enabled again.
    expect((await bench.hooks.listDeliveries(id, {}, 'asc', 10, null)).rows).toMatchObject([{ status: 'pending' }])
    bench.answer(() => Promise.resolve(answered(200)))
    await bench.hooks.updateEndpoint(id, bench.now, { status: 'enabled' })
    bench.advance(bench.now + 10_000)
    await bench.deliveries(id, all('delivered'))
  },
)

test('Z17 an endpoint that hangs has four requests at most, and holds up neither the others nor sessions', async () => {
  const hanging = await bench.endpoint({ url: 'https://hangs.example/' })
  const good = await bench.endpoint()
  const release = Promise.withResolvers<SendResult>()
  bench.answer(({ url }) => (url.includes('hangs') ? release.promise : Promise.resolve(answered(200))))
  await bench.tell('turn.started', 50)
  await bench.deliveries(good.id, (rows) => rows.length === 50 && all('delivered')(rows))
  expect(bench.sent.filter(({ url }) => url.includes('hangs'))).toHaveLength(4)
  await bench.tell('turn.completed')
  release.resolve(answered(200))
  await bench.deliveries(hanging.id, (rows) => rows.length === 51 && all('delivered')(rows))
})

test('Z6 types choose by name, glob, and hosted name; names says which one is told', async () => {
  const told = async (fields: object) => {
    const { id } = await bench.endpoint({ url: `https://${Math.random()}.example/`, ...fields })
    return id
  }
  const exact = await told({ types: ['turn.completed'] })
  const glob = await told({ types: ['session.*'] })
  const hosted = await told({ types: ['session.status_idled'], names: 'hosted' })
  const byAlias = await told({ types: ['session.status_idled'] })
  for (const type of [
    'turn.started',
    'turn.completed',
    'session.status_running',
    'session.status_idle',
    'agent.message',
  ])
    await bench.tell(type)
  const types = async (id: string, count: number) => {
    const rows = await bench.deliveries(id, (rows) => rows.length === count && all('delivered')(rows))
    const { url } = (await bench.hooks.readEndpoint(id))!
    const bodies = bench.sent.filter((each) => each.url === url).map(({ body }) => JSON.parse(body) as never)
    return [rows.map(({ type }) => type), bodies.map(({ data }: { data: { type: string } }) => data.type).sort()]
  }
  const idle = 'session.status_idle'
  expect(await types(exact, 1)).toEqual([['turn.completed'], ['turn.completed']])
  expect(await types(glob, 2)).toEqual([
    ['session.status_running', idle],
    [idle, 'session.status_running'],
  ])
  expect(await types(hosted, 1)).toEqual([[idle], ['session.status_idled']])
  expect(await types(byAlias, 1)).toEqual([[idle], [idle]])
})

test('Z19 an endpoint that includes the session is sent it as it is now, and null when it is gone', async () => {
  await bench.end()
  let session: object | null = { id: 'sesn_x', status: 'idle' }
  bench = await delivererBench({ renderSession: () => Promise.resolve(session) })
  await bench.endpoint({ include: ['session'] })
  await bench.tell()
  await bench.until(1)
  session = null
  await bench.tell('turn.completed')
  await bench.until(2)
  const bodies = bench.sent.map(({ body }) => (JSON.parse(body) as { data: { session: unknown } }).data.session)
  expect(bodies).toEqual([{ id: 'sesn_x', status: 'idle' }, null])
})

test('Z2 both secrets sign until the overlap is over', async () => {
  const { id } = await bench.endpoint()
  await bench.hooks.rotateSecret(id, bench.now, 'whsec_bmV3', bench.now + 1_000)
  const signatures = async () => {
    await bench.tell()
    await bench.until(bench.sent.length + 1)
    return bench.sent.at(-1)!.headers['webhook-signature']!.split(' ').length
  }
  expect(await signatures()).toBe(2)
  bench.advance(bench.now + 1_000)
  expect(await signatures()).toBe(1)
})

test('Z12 a replay of more events than one call goes through says where to go on, and misses none', async () => {
  await bench.end()
  bench = await delivererBench({ stopMs: 0 })
  bench.answer((_sendable, signal) => {
    const { promise, resolve } = Promise.withResolvers<SendResult>()
    signal.addEventListener('abort', () => resolve(answered(200)))
    return promise
  })
  const from = bench.now
  await bench.tell('turn.started', MAX_REPLAY - 100)
  bench.advance(from + 1_000)
  await bench.tell('turn.completed', 300)
  const { id } = await bench.endpoint({ types: ['turn.*'] })
  const first = await replay(bench.context, id, from, bench.now + 1, null)
  expect(first).toEqual({ matched: MAX_REPLAY, queued: MAX_REPLAY, nextFrom: from + 1_000 })
  const rest = await replay(bench.context, id, first.nextFrom!, bench.now + 1, null)
  expect(rest).toMatchObject({ matched: 300, nextFrom: null })
  const { rows } = await bench.hooks.listDeliveries(id, {}, 'asc', 20_000, null)
  expect(rows).toHaveLength(MAX_REPLAY + 200)
})

test('Z13 a delivery leaves the log after 30 days', async () => {
  const { id } = await bench.endpoint()
  await bench.tell()
  await bench.deliveries(id, all('delivered'))
  const [from, count] = [bench.now, async () => (await bench.hooks.listDeliveries(id, {}, 'asc', 9, null)).rows.length]
  bench.advance(from + 30 * 24 * HOUR)
  await bench.tell()
  await bench.deliveries(id, (rows) => rows.length === 2 && all('delivered')(rows))
  bench.advance(bench.now + HOUR)
  while ((await count()) > 1) await new Promise((resolve) => setImmediate(resolve))
  expect(await count()).toBe(1)
})

test('Z7 a stop cuts what is under way after a while; it was no attempt, and is sent again by the next server', async () => {
  await bench.end()
  bench = await delivererBench({ stopMs: 10 })
  const { id } = await bench.endpoint()
  bench.answer((_sendable, signal) => {
    const { promise, resolve } = Promise.withResolvers<SendResult>()
    signal.addEventListener('abort', () => resolve({ ...answered(0), httpStatus: null, error: 'cut' }))
    return promise
  })
  await bench.tell()
  await bench.until(1)
  const stopped = bench.restart()
  bench.answer(() => Promise.resolve(answered(200)))
  await stopped
  const [row] = await bench.deliveries(id, all('delivered'))
  expect(row).toMatchObject({ attemptCount: 1, attempts: [{ httpStatus: 200 }] })
  expect(bench.sent[0]!.headers['webhook-id']).toBe(bench.sent[1]!.headers['webhook-id'])
})

test('Z8 a thousand events reach three endpoints each, once', async () => {
  const ids = await Promise.all([1, 2, 3].map(async () => (await bench.endpoint()).id))
  await Promise.all(Array.from({ length: 100 }, () => bench.tell('turn.started', 10)))
  for (const id of ids) await bench.deliveries(id, (rows) => rows.length === 1_000 && all('delivered')(rows))
  expect(bench.sent).toHaveLength(3_000)
  expect(new Set(bench.sent.map(({ headers }) => headers['webhook-id'])).size).toBe(3_000)
  expect(new Set(bench.sent.map(({ body }) => (JSON.parse(body) as { id: string }).id)).size).toBe(1_000)
})

test('Z17 a store that cannot be written holds webhooks up and loses none', async () => {
  await bench.end()
  let failing = true
  bench = await delivererBench()
  const { claimDue } = bench.hooks
  bench.hooks.claimDue = (...args) => {
    if (!failing) return claimDue(...args)
    failing = false
    return Promise.reject(new Error('disk full'))
  }
  const { id } = await bench.endpoint()
  await bench.tell()
  await bench.deliveries(id, all('delivered'))
  expect(bench.warnings).toHaveLength(1)
})
