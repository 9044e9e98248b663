import { createClient } from '@troupe/client/client'
import { emptyView, fold } from '@troupe/client/fold'
import type { SessionView } from '@troupe/client/view'
import { type SessionEvent, SessionEvent as EventSchema, type StreamFrame } from '@troupe/protocol/event'
import { Info, ModelList } from '@troupe/protocol/info'
import { Session } from '@troupe/protocol/session'
import { Turn } from '@troupe/protocol/turn'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { realServer, script } from './support/server.ts'

let server: Awaited<ReturnType<typeof realServer>>
const client = () => createClient({ baseUrl: server.url })
const input = (content: string) => ({ type: 'user.message' as const, content })

beforeAll(async () => {
  server = await realServer()
})
afterAll(() => server[Symbol.asyncDispose]())

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

const TOOLS_AND_TEXT = script(
  { think: 'Hm.', say: 'I look.', tools: [{ name: 'Bash', input: { command: 'echo hi', description: 'x' } }] },
  { say: 'One two three four five six seven eight.', stream: { chunk_ms: 5 } },
)

test('every method of the client agrees with the real server on what is sent and answered', async () => {
  const { sessions, events, turns, info, health, ready, models } = client()
  const created = await sessions.create({ title: 'a', metadata: { k: 'v' }, initial_events: [input('hi')] })
  const { id } = Session.parse(created)
  const done = Session.parse(await sessions.retrieve(id, { wait: 30 }))
  expect(done).toMatchObject({ status: 'idle', stop_reason: { type: 'end_turn' } })
  expect(await sessions.update(id, { title: null, metadata: { k: null, l: 'w' } })).toMatchObject({
    title: null,
    metadata: { l: 'w' },
  })
  const page = await sessions.list({
    statuses: ['idle'],
    created_at: { lt: new Date(Date.now() + 1000).toISOString() },
    count: true,
  })
  expect(page).toMatchObject({ data: [{ id }], next_page: null, total_count: 1 })
  const [sent] = await events.send(id, [input('again')])
  expect(EventSchema.parse(sent)).toMatchObject({ type: 'user.message', processed_at: null })
  await sessions.retrieve(id, { wait: 30 })
  const [first, second] = (await collect(turns.all(id, { limit: 1 }))).map((turn) => Turn.parse(turn))
  expect(await turns.retrieve(id, second!.id)).toEqual(second)
  await expect(turns.cancel(id, first!.id)).rejects.toMatchObject({ code: 'turn_not_running', status: 409 })
  const messages = await events.list(id, { types: ['user.message'], limit: 1, order: 'desc' })
  expect(messages.data).toMatchObject([{ id: sent!.id }])
  expect(await sessions.archive(id)).toMatchObject({ status: 'terminated' })
  expect(await collect(sessions.all())).toEqual([])
  expect(await sessions.prune({ older_than: 3600, dry_run: true })).toEqual({ matched: 0, deleted: 0 })
  expect(await sessions.delete(id)).toEqual({ type: 'session_deleted', id })
  await expect(sessions.retrieve(id)).rejects.toMatchObject({ code: 'session_deleted', status: 410 })
  expect(Info.parse(await info()).model.source).toBe('demo')
  expect(ModelList.parse(await models()).data.length).toBeGreaterThan(0)
  expect(await ready()).toMatchObject({ status: 'ready' })
  expect(await health()).toMatchObject({ status: 'ok' })
})

test('a write under the same idempotency key is one write', async () => {
  const { sessions, events } = client()
  const { id } = await sessions.create({})
  const once = { idempotencyKey: 'the same' }
  const [first, second] = [await events.send(id, [input('x')], once), await events.send(id, [input('x')], once)]
  expect(second).toEqual(first)
  expect((await collect(events.all(id, { types: ['user.message'] }))).length).toBe(1)
})

test('the view is the same from the stream, with previews, and from the list', async () => {
  const { sessions, events } = client()
  const { id } = await sessions.create({
    agent: { type: 'inline', allowed_tools: ['Bash'] },
    initial_events: [input(TOOLS_AND_TEXT)],
  })
  const frames = await collect(
    events.stream(id, { from: 'start', until: 'idle', deltas: ['agent.message', 'agent.thinking'] }),
  )
  const previews: string[] = []
  const streamed = frames.reduce((view: SessionView, frame: StreamFrame) => {
    const next = fold(view, frame)
    if (next.preview?.text) previews.push(next.preview.text)
    return next
  }, emptyView)
  const listed = (await collect(events.all(id))).reduce(fold, emptyView)
  expect(streamed).toEqual(listed)
  expect(streamed.items.map(({ kind }) => kind)).toEqual(['user', 'thinking', 'agent', 'tool', 'agent'])
  expect(streamed.items[3]).toMatchObject({ name: 'Bash', result: { isError: false } })
  expect(streamed).toMatchObject({ status: 'idle', preview: null, turns: [{ status: 'completed' }] })
  // The words came in pieces, each preview the beginning of the message.
  expect(previews.filter((text) => 'One two three four five six seven eight.'.startsWith(text)).length).toBeGreaterThan(
    1,
  )
})

test('a stream outlives a restart of the server and misses nothing', async () => {
  const { sessions, events } = client()
  const { id } = await sessions.create({ initial_events: [input('hi')] })
  const seen: SessionEvent[] = []
  let restarted: Promise<void> | undefined
  const stream = events.stream(id, { from: 'start', reconnectDelay: () => 20 })
  for await (const frame of stream) {
    if ('seq' in frame) seen.push(frame)
    if (frame.type !== 'session.status_idle') continue
    if (restarted) break
    restarted = server
      .restart()
      .then(() => events.send(id, [input('hi again')]))
      .then(() => undefined)
  }
  await restarted
  const { last_seq: last } = await sessions.retrieve(id)
  expect(seen.map(({ seq }) => seq)).toEqual(Array.from({ length: last }, (_, index) => index + 1))
})
