import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WebhookDelivery, WebhookEndpoint } from '@troupe/protocol/webhook'
import { expect, test } from 'vitest'
import { receiver } from '../support/receiver.ts'
import { FAKE_AGENT, testEnv } from '../support/server.ts'

const SERVE_CHILD = fileURLToPath(new URL('../support/serve-child.ts', import.meta.url))

test('Z7 kill -9 between sending and noting, again and again: every event arrives, each under one webhook-id', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-webhook-kill-'))
  const flags = { port: 0, data_dir: join(folder, 'data'), agent_executable: FAKE_AGENT, webhook_allow_private: true }
  let child: ChildProcess
  let url = ''
  let gone: Promise<unknown>
  /** Resolves when it serves, or was killed before it did. */
  const start = async () => {
    child = spawn(process.execPath, [SERVE_CHILD, JSON.stringify(flags), folder], {
      env: testEnv({ ANTHROPIC_API_KEY: 'test' }),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    gone = once(child, 'exit')
    const [line] = (await Promise.race([once(child.stdout!, 'data'), gone])) as unknown[]
    if (Buffer.isBuffer(line)) url = (JSON.parse(line.toString()) as { url: string }).url
  }
  const call = async <T>(path: string, body?: unknown): Promise<T> => {
    const response = await fetch(url + path, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    return (await response.json()) as T
  }
  const target = await receiver()
  await start()
  const { id } = await call<WebhookEndpoint>('/v1/webhook_endpoints', { url: target.url, types: ['session.created'] })

  const left = { kills: 5 }
  // Whoever asks has been told, and dies before it can know that.
  target.answer = (_one, response) => {
    if (left.kills-- > 0) child.kill('SIGKILL')
    else response.end()
  }
  const sessions: string[] = []
  while (left.kills > 0) {
    const created = await call<{ id: string }>('/v1/sessions', {}).catch(() => null)
    if (created) sessions.push(created.id)
    await gone!
    await start()
  }
  /** The ids under which each event came. */
  const received = () => {
    const ids = new Map<string, Set<string>>()
    for (const { payload, id } of target.received) ids.set(payload.id, (ids.get(payload.id) ?? new Set()).add(id))
    return ids
  }
  const settled = async (): Promise<WebhookDelivery[]> => {
    for (;;) {
      if (child!.exitCode !== null || child!.signalCode !== null) await start()
      const path = `/v1/webhook_endpoints/${id}/deliveries?limit=1000`
      // Refused while a server that was killed is not gone yet.
      const { data } = await call<{ data: WebhookDelivery[] }>(path).catch(() => ({ data: [] }))
      const known = data.length >= sessions.length && data.length === received().size
      if (known && data.every(({ status }) => status === 'delivered')) return data
    }
  }
  const log = await settled()
  expect(log.map(({ session_id }) => session_id)).toEqual(expect.arrayContaining(sessions))
  // At least once each, the killed ones more often, and always under the same id.
  expect(target.received.length).toBeGreaterThan(log.length)
  expect(Object.fromEntries([...received()].map(([event, one]) => [event, [...one]]))).toEqual(
    Object.fromEntries(log.map(({ event_id, id }) => [event_id, [id]])),
  )
  child!.kill('SIGTERM')
  expect(await gone!).toEqual([0, null])
  await target.close()
  rmSync(folder, { recursive: true, force: true })
})
