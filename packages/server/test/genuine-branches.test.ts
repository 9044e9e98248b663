import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Diff, Rewind } from '@troupe/protocol/branch'
import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import type { Step } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RecordingModel, recordingModel } from './support/recording-model.ts'
import { type TestServer, testServer } from './support/server.ts'

const scripted = (words: string, steps: Step[]) => `${words}\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string): Step => ({ tools: [{ name: 'Bash', input: { command } }] })

describe('branches of a genuine conversation', () => {
  let model: RecordingModel
  let server: TestServer
  let named: string
  beforeAll(async () => {
    named = mkdtempSync(join(tmpdir(), 'troupe-named-'))
    model = await recordingModel()
    server = await testServer({ agent_executable: undefined }, { env: model.env })
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
    rmSync(named, { recursive: true, force: true })
  })

  const say = async (id: string, words: string, command: string) => {
    await server.send(id, scripted(words, [bash(command), { say: `${words} done` }]))
    return server.idle(id)
  }
  /** A session whose turns say ALPHA, BETA, GAMMA and write a file each. */
  const three = async (fields: object = {}) => {
    const agent = { type: 'inline', permission_mode: 'bypassPermissions' }
    const { id } = await server.create(null, { agent, ...fields })
    await say(id, 'ALPHA', 'printf one > a; mkdir -p keep; printf x > keep/run; chmod 750 keep/run')
    await say(id, 'BETA', 'printf two > a; printf b > b; rm -r keep')
    const session = await say(id, 'GAMMA', 'printf three > a; printf c > c; mkdir node_modules; touch node_modules/m')
    return { session, events: await server.events(id), turns: await server.turns(id) }
  }
  const last = (events: SessionEvent[], turn: string, type = 'turn.completed') =>
    events.find((event) => event.turn_id === turn && event.type === type)!.id
  /** What the model was told in the newest request of a session. */
  const told = (session: Pick<Session, 'uuid'>) => model.told(session.uuid)
  const words = (session: Pick<Session, 'uuid'>) =>
    ['ALPHA', 'BETA', 'GAMMA', 'DELTA'].filter((word) => told(session).includes(word))
  const fork = (id: string, body: object = {}, headers: Record<string, string> = {}) =>
    server.post<Session>(`/v1/sessions/${id}/fork`, body, headers)
  const rewind = (id: string, body: object) => server.post<Rewind>(`/v1/sessions/${id}/rewind`, body)
  const tree = (cwd: string) =>
    (readdirSync(cwd, { recursive: true }) as string[])
      .sort()
      .map((path) => (statSync(join(cwd, path)).isFile() ? `${path}=${readFileSync(join(cwd, path), 'utf8')}` : path))

  test('FK10 a fork goes on with history, conversation and files, under an id and in a workdir of its own', async () => {
    const { session, events } = await three()
    const forked = await fork(session.id, {}, { 'idempotency-key': 'fork-1' })
    expect(forked).toMatchObject({
      status: 'idle',
      forked_from: { session_id: session.id, event_id: null },
      usage: { cost_usd: 0 },
      external_id: null,
      result: { text: 'GAMMA done' },
    })
    expect(forked.cwd).not.toBe(session.cwd)
    expect(tree(forked.cwd)).toEqual(tree(session.cwd))
    const copied = await server.events(forked.id)
    expect(copied.map(({ type, id }) => [type, id]).slice(0, -1)).toEqual(events.map(({ type, id }) => [type, id]))
    expect(copied.map(({ seq }) => seq)).toEqual(copied.map(({ seq }) => seq).sort((a, b) => a - b))
    expect(copied.at(-1)).toMatchObject({ type: 'session.forked', seq: forked.last_seq, files: 'copy' })
    await say(forked.id, 'DELTA', 'printf forked > a; pwd')
    expect(words(forked)).toEqual(['ALPHA', 'BETA', 'GAMMA', 'DELTA'])
    // No path of the other workdir is left for the agent to go back to.
    expect(told(forked)).not.toContain(session.uuid)
    expect(readFileSync(join(session.cwd, 'a'), 'utf8')).toBe('three')
    expect(await server.get(`/v1/sessions/${session.id}`)).toMatchObject({ last_seq: session.last_seq })
    const [, , , delta] = await server.turns(forked.id)
    const changed = await server.get<Diff>(`/v1/sessions/${forked.id}/diff?turn_id=${delta!.id}`)
    expect(changed.files).toMatchObject([{ path: 'a', status: 'modified' }])
    const [first] = await server.turns(forked.id)
    expect((await server.get<Diff>(`/v1/sessions/${forked.id}/diff?turn_id=${first!.id}`)).files).toMatchObject([
      { path: 'a' },
      { path: 'keep/run' },
    ])
    expect((await fork(session.id, {}, { 'idempotency-key': 'fork-1' })).id).toBe(forked.id)
    const { usage } = await server.idle(forked.id)
    const spent = await server.idle(session.id)
    expect(usage.cost_usd).toBeLessThan(spent.usage.cost_usd)
    // The other one may go; the fork is whole.
    expect((await server.request('DELETE', `/v1/sessions/${session.id}`)).status).toBe(200)
    await say(forked.id, 'GAMMA', 'cat a')
    expect((await server.idle(forked.id)).last_error).toBe(null)
    expect((await server.get<Diff>(`/v1/sessions/${forked.id}/diff`)).files.length).toBeGreaterThan(0)
  })

  test('FK11 a fork at an event has what came before its turn ended, or before it began, and files as they were then', async () => {
    const { session, events, turns } = await three()
    const after = await fork(session.id, { at_event_id: last(events, turns[0]!.id), title: 'again' })
    expect(after).toMatchObject({ title: 'again', result: { text: 'ALPHA done' } })
    // What is never kept is copied as it stands now.
    expect(tree(after.cwd)).toEqual(['a=one', 'keep', 'keep/run=x', 'node_modules', 'node_modules/m='])
    expect(statSync(join(after.cwd, 'keep/run')).mode & 0o777).toBe(0o750)
    await say(after.id, 'DELTA', 'true')
    expect(words(after)).toEqual(['ALPHA', 'DELTA'])
    const before = await fork(session.id, { at_event_id: last(events, turns[1]!.id, 'user.message') })
    expect(tree(before.cwd)).toEqual(tree(after.cwd))
    expect((await server.turns(before.id)).length).toBe(1)
    const empty = await fork(session.id, { at_event_id: last(events, turns[0]!.id, 'user.message') })
    expect(empty).toMatchObject({ result: null, stop_reason: null })
    await say(empty.id, 'DELTA', 'true')
    expect(words(empty)).toEqual(['DELTA'])
  })

  test('FK12 a shared fork works in the same folder; what cannot be forked is said and leaves nothing', async () => {
    writeFileSync(join(named, 'theirs'), 'x')
    const { session, events, turns } = await three({ cwd: named })
    const shared = await fork(session.id, { files: 'share', at_event_id: last(events, turns[0]!.id) })
    expect(shared.cwd).toBe(named)
    await say(shared.id, 'DELTA', 'printf shared > a')
    expect(readFileSync(join(named, 'a'), 'utf8')).toBe('shared')
    expect(words(shared)).toEqual(['ALPHA', 'DELTA'])
    const copy = await fork(session.id)
    expect(copy.cwd).not.toBe(named)
    await say(copy.id, 'DELTA', 'true')
    expect(told(copy)).not.toContain(`${named}/`)
    const folders = readdirSync(join(server.folder, 'data', 'sessions')).length
    const unknown = await server.request('POST', `/v1/sessions/${session.id}/fork`, { at_event_id: 'sevt_none' })
    expect(unknown).toMatchObject({ status: 404, body: { code: 'event_not_found' } })
    expect(readdirSync(join(server.folder, 'data', 'sessions')).length).toBe(folders)
  })

  test('FK13 a session that runs is forked at a turn that has ended, from what was kept', async () => {
    const { session, events, turns } = await three()
    await server.send(session.id, scripted('DELTA', [bash('printf running > a; sleep 30'), { say: 'no' }]))
    await server.event(session.id, ({ type, seq }) => type === 'agent.tool_use' && seq > session.last_seq)
    const refused = await server.request('POST', `/v1/sessions/${session.id}/fork`, {})
    expect(refused).toMatchObject({ status: 409, body: { code: 'session_running' } })
    const running = (await server.events(session.id)).findLast(({ type }) => type === 'agent.tool_use')!
    const open = await server.request('POST', `/v1/sessions/${session.id}/fork`, { at_event_id: running.id })
    expect(open).toMatchObject({ status: 409, body: { code: 'turn_not_ended' } })
    const forked = await fork(session.id, { at_event_id: last(events, turns[2]!.id) })
    expect(tree(forked.cwd)).toEqual(['a=three', 'b=b', 'c=c'])
    await say(forked.id, 'GAMMA', 'true')
    expect(words(forked)).toEqual(['ALPHA', 'BETA', 'GAMMA'])
    const rewound = await server.request('POST', `/v1/sessions/${session.id}/rewind`, { to_event_id: events[1]!.id })
    expect(rewound).toMatchObject({ status: 409, body: { code: 'session_running' } })
    await server.post(`/v1/sessions/${session.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    await server.idle(session.id)
  })

  test('FK14 after a rewind the model does not know what came later, files are what they were, and the log has it all', async () => {
    const { session, events, turns } = await three()
    const id = session.id
    writeFileSync(join(session.cwd, 'by-hand'), 'new')
    const body = { to_event_id: last(events, turns[0]!.id) }
    const dry = await rewind(id, { ...body, dry_run: true })
    expect(dry).toMatchObject({
      dry_run: true,
      to_turn_id: turns[0]!.id,
      turns_undone: [turns[1]!.id, turns[2]!.id],
      files: { written: ['a', 'keep/run'], not_restored: [] },
    })
    expect(dry.files!.removed.toSorted()).toEqual(['b', 'by-hand', 'c'])
    expect(readFileSync(join(session.cwd, 'a'), 'utf8')).toBe('three')
    expect((await server.idle(id)).last_seq).toBe(session.last_seq)
    expect(await rewind(id, body)).toEqual({ ...dry, dry_run: false })
    expect(tree(session.cwd)).toEqual(['a=one', 'keep', 'keep/run=x', 'node_modules', 'node_modules/m='])
    expect(statSync(join(session.cwd, 'keep/run')).mode & 0o777).toBe(0o750)
    const log = await server.events(id)
    expect(log.slice(0, -1)).toEqual(events)
    expect(log.at(-1)).toMatchObject({ type: 'session.rewound', scope: 'both', turns_undone: dry.turns_undone })
    expect(await server.idle(id)).toMatchObject({ result: { text: 'ALPHA done' } })
    await say(id, 'DELTA', 'printf four > d')
    expect(words(session)).toEqual(['ALPHA', 'DELTA'])
    const gone = await server.request('POST', `/v1/sessions/${id}/rewind`, { to_event_id: last(events, turns[1]!.id) })
    expect(gone).toMatchObject({ status: 409, body: { code: 'event_rewound' } })
    // Where it stands now, the turns that were undone have no part in it.
    await rewind(id, body)
    expect(await fork(id)).toMatchObject({ result: { text: 'ALPHA done' } })
    const told = (await server.events(id)).findLast(({ type }) => type === 'session.rewound')!
    expect(await rewind(id, { to_event_id: told.id, dry_run: true })).toMatchObject({ to_turn_id: turns[0]!.id })
    await say(id, 'BETA', 'true')
    expect(words(session)).toEqual(['ALPHA', 'BETA'])
    expect(existsSync(join(session.cwd, 'd'))).toBe(false)
  })

  test('FK15 conversation and files are set back each without the other', async () => {
    const { session, events, turns } = await three()
    const files = await rewind(session.id, { to_event_id: last(events, turns[1]!.id), scope: 'files' })
    expect(files).toMatchObject({ turns_undone: [], files: { written: ['a'], removed: ['c'] } })
    expect(readFileSync(join(session.cwd, 'a'), 'utf8')).toBe('two')
    await say(session.id, 'DELTA', 'printf four > a')
    expect(words(session)).toEqual(['ALPHA', 'BETA', 'GAMMA', 'DELTA'])
    const start = last(events, turns[0]!.id, 'user.message')
    const talk = await rewind(session.id, { to_event_id: start, scope: 'conversation' })
    expect(talk).toMatchObject({ files: null, to_turn_id: null })
    expect(readFileSync(join(session.cwd, 'a'), 'utf8')).toBe('four')
    await say(session.id, 'GAMMA', 'true')
    expect(words(session)).toEqual(['GAMMA'])
  })

  test('FK16 a rewind that a server died in is finished at the next start, and before the next turn', async () => {
    const { session, events, turns } = await three()
    mkdirSync(join(session.cwd, 'keep'))
    await rewind(session.id, { to_event_id: last(events, turns[0]!.id) })
    // As a kill between two files leaves it: decided, and only begun.
    const { store } = server.app
    const state = (await store.readSession(session.id))!
    const target = (await store.branches.snapshotOf(session.id, turns[0]!.id, 'after'))!
    writeFileSync(join(session.cwd, 'a'), 'half')
    rmSync(join(session.cwd, 'keep/run'))
    writeFileSync(join(session.cwd, '.troupe-restore-1'), 'half')
    const pending = (n: number) =>
      store.commit({
        sessionId: session.id,
        at: Date.now(),
        session: {},
        events: [
          {
            id: `sevt_0000000000000000000000000${n}`,
            type: 'session.rewound',
            turnId: null,
            threadId: null,
            processedAt: 1,
            body: {},
          },
        ],
        rewind: { eventId: '', toSeq: state.lastSeq, conversation: false, dropped: null, commit: target.commit },
      })
    await pending(1)
    await server.restart()
    expect(tree(session.cwd)).toEqual(['a=one', 'keep', 'keep/run=x', 'node_modules', 'node_modules/m='])
    expect(await server.app.store.branches.pendingRestores(null)).toEqual([])
  })
})
