import type { Agent } from '@troupe/protocol/saved-agent'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TestServer, testServer } from './support/server.ts'

let folder: string
let server: TestServer | null
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-agents-'))
  server = null
})
afterEach(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})
const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
const start = async () => (server = await testServer({ agents_dir: folder }))
const listed = async (all = false) =>
  (await server!.get<{ data: Agent[] }>(`/v1/agents?include_archived=${all}&order=asc`)).data.filter(
    ({ source }) => source === 'file',
  )
const byName = async (name: string) => (await listed(true)).find((agent) => agent.name === name)!

const REVIEWER = `---
name: reviewer
description: Reviews what it is shown
model: claude-haiku-4-5
tools: Read, Grep
disallowedTools: WebSearch
---

You review code.
Be brief.
`

test('AG35 files of a folder are saved agents, as Claude Code keeps them and as the API takes them', async () => {
  write('reviewer.md', REVIEWER)
  write('writer.yaml', 'name: Writer\nsystem: You write.\npermission_mode: acceptEdits\nmetadata: {team: docs}\n')
  write('plain.json', '{"description": "Named by its file"}')
  write('notes.txt', 'no agent')
  mkdirSync(join(folder, 'inner'))
  await start()
  expect((await listed()).map(({ name }) => name).toSorted()).toEqual(['Writer', 'plain', 'reviewer'])
  const reviewer = await byName('reviewer')
  expect(reviewer).toMatchObject({
    source: 'file',
    version: 1,
    description: 'Reviews what it is shown',
    model: { id: 'claude-haiku-4-5' },
    system: 'You review code.\nBe brief.',
  })
  const session = await server!.create('say hello', { agent: reviewer.id })
  expect(session.agent.disallowed_tools).toEqual(
    expect.arrayContaining(['Bash', 'Edit', 'Write', 'WebFetch', 'WebSearch']),
  )
  expect(session.agent.disallowed_tools).not.toContain('Read')
  expect(await byName('Writer')).toMatchObject({ permission_mode: 'acceptEdits', metadata: { team: 'docs' } })
  for (const path of [`/v1/agents/${reviewer.id}`, `/v1/agents/${reviewer.id}/archive`]) {
    const reply = await server!.request('POST', path, path.endsWith('archive') ? undefined : { system: 'x' })
    expect([path, reply.status, reply.body.code]).toEqual([path, 409, 'agent_read_only'])
  }
})

test('AG36 a file that changes makes a version under the same id, one that is gone is archived, and comes back', async () => {
  write('reviewer.md', REVIEWER)
  await start()
  const { id } = await byName('reviewer')
  const now = () => server!.get<Agent>(`/v1/agents/${id}`)
  await server!.restart()
  expect((await now()).version).toBe(1)
  write('reviewer.md', REVIEWER.replace('Be brief.', 'Be kind.'))
  await expect.poll(async () => (await now()).version, { interval: 200 }).toBe(2)
  expect((await now()).system).toContain('Be kind.')
  expect((await server!.get<Agent>(`/v1/agents/${id}?version=1`)).system).toContain('Be brief.')
  rmSync(join(folder, 'reviewer.md'))
  await server!.restart()
  expect((await now()).archived_at).not.toBe(null)
  expect(await listed()).toEqual([])
  write('reviewer.md', REVIEWER)
  await server!.restart()
  expect(await now()).toMatchObject({ archived_at: null, version: 3 })
  expect((await now()).system).toContain('Be brief.')
})

test('AG37 a file that is no agent is said and changes nothing; a folder that cannot be read keeps the server from starting', async () => {
  write('good.yaml', 'system: Fine.')
  await start()
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...Array.from(
      { length: 30 },
      (_, n) => `b${n}: &b${n} [${n === 0 ? '*a' : `*b${n - 1},*b${n - 1},*b${n - 1},*b${n - 1}`}]`,
    ),
  ]
  write('good.yaml', 'system: [not, text]')
  write('bomb.yaml', bomb.join('\n'))
  write('broken.yaml', 'a: [')
  write('list.yaml', '- a')
  write('bare.md', 'no fields')
  write('empty.json', '')
  write('large.yaml', `system: ${'x'.repeat(1_100_000)}`)
  await server!.restart()
  expect(await listed(true)).toMatchObject([{ name: 'good', system: 'Fine.', version: 1, archived_at: null }])
  await expect(testServer({ agents_dir: join(folder, 'nowhere') })).rejects.toThrow(/cannot be read/)
})
