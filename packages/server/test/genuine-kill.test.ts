import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { killableServer } from './support/killable-server.ts'

test('D9 kill -9 of the server in the middle of a genuine tool ends the tool, and the conversation goes on after the start', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-kill-'))
  const start = () => killableServer(folder, { demo_model: 'on' }, {})
  const post = async <T>(url: string, body: unknown): Promise<T> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=30' },
      body: JSON.stringify(body),
    })
    return (await response.json()) as T
  }
  const scripted = (steps: object[]) => [
    { type: 'user.message', content: `Go on\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\`` },
  ]

  // Whoever holds the pipe open is alive; its end says that all are gone.
  const alive = join(folder, 'alive')
  expect(spawnSync('mkfifo', [alive]).status).toBe(0)
  const holders = spawn('cat', [alive], { stdio: ['ignore', 'pipe', 'inherit'] })
  const command = `exec 9>${alive}; echo up >&9; while true; do sleep 1; done`
  const first = await start()
  const created = fetch(`${first.url}/v1/sessions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      agent: { type: 'inline', permission_mode: 'bypassPermissions' },
      initial_events: scripted([{ tools: [{ name: 'Bash', input: { command } }] }]),
    }),
  })
  const { id } = (await (await created).json()) as Session
  await once(holders.stdout, 'data')
  const gone = once(holders, 'exit')
  first.child.kill('SIGKILL')
  await gone

  const second = await start()
  const session = (await (await fetch(`${second.url}/v1/sessions/${id}`)).json()) as Session
  expect(session).toMatchObject({
    status: 'idle',
    stop_reason: { type: 'retries_exhausted' },
    last_error: { code: 'server_restarted', side_effect_possible: true },
  })
  await post<{ data: SessionEvent[] }>(`${second.url}/v1/sessions/${id}/events`, {
    events: scripted([{ say: 'still here' }]),
  })
  const after = (await (await fetch(`${second.url}/v1/sessions/${id}`)).json()) as Session
  expect(after).toMatchObject({ last_error: null, result: { text: 'still here' } })
  expect(await second.stop()).toEqual([0, null])
  rmSync(folder, { recursive: true, force: true })
})
