import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { killableServer } from './support/killable-server.ts'
import { FAKE_AGENT } from './support/server.ts'

const FILES = 400

test('FK17 kill -9 of the server at any moment of a rewind leaves the workdir as it was or as it is to be, never between', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-rewind-kill-'))
  const cwd = join(folder, 'work')
  mkdirSync(cwd)
  const start = () => killableServer(folder, { agent_executable: FAKE_AGENT })
  let server = await start()
  const ask = async <T>(path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${server.url}/v1/sessions${path}`, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    })
    if (!response.ok) throw new Error(await response.text())
    return (await response.json()) as T
  }
  /** Every file says the same word, and some are only there with one of the words. */
  const write = (word: string) => {
    rmSync(cwd, { recursive: true })
    mkdirSync(cwd)
    for (let n = 0; n < FILES; n++) writeFileSync(join(cwd, `${n}`), word)
    writeFileSync(join(cwd, `only-${word}`), word)
  }
  const words = () => [...new Set(readdirSync(cwd).map((name) => readFileSync(join(cwd, name), 'utf8')))]
  const turn = (id: string) => ask(`/${id}/events`, { events: [{ type: 'user.message', content: 'say x' }] })

  write('first')
  const { id } = await ask<Session>('', { cwd, snapshots: 'on' })
  await turn(id)
  const { data } = await ask<{ data: SessionEvent[] }>(`/${id}/events?types[]=turn.completed`)
  // A diff waits for the snapshot of the turn.
  await ask(`/${id}/diff`)
  for (const ms of [5, 40, 80, 120, 160, 220]) {
    write('second')
    await turn(id)
    await ask(`/${id}/diff`)
    const begun = ask(`/${id}/rewind`, { to_event_id: data[0]!.id, scope: 'files' }).catch(() => null)
    // The moment is what is tried out.
    await delay(ms)
    await Promise.all([server.kill(), begun])
    server = await start()
    const { data: log } = await ask<{ data: SessionEvent[] }>(`/${id}/events?order=desc&limit=1`)
    const decided = log[0]!.type === 'session.rewound'
    expect([ms, words()]).toEqual([ms, [decided ? 'first' : 'second']])
    expect(readdirSync(cwd).length).toBe(FILES + 1)
    await turn(id)
  }
  await ask(`/${id}/rewind`, { to_event_id: data[0]!.id, scope: 'files' })
  expect(words()).toEqual(['first'])
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})
