import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WebhookDelivery, WebhookEndpoint } from '@troupe/protocol/webhook'
import { expect, test } from 'vitest'
import { type KillableServer, spawnServer } from '../support/killable-server.ts'
import { receiver } from '../support/receiver.ts'
import { FAKE_AGENT } from '../support/server.ts'

test('Z7 kill -9 between sending and noting, again and again: every event arrives, each under one webhook-id', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-webhook-kill-'))
  const flags = { agent_executable: FAKE_AGENT, webhook_allow_private: true }
  let server: KillableServer
  const start = async () => {
    server = spawnServer(folder, flags)
    await server.serving
  }
  const call = async <T>(path: string, body?: unknown): Promise<T> => {
    const response = await fetch(server.url + path, {
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
    if (left.kills-- > 0) server.child.kill('SIGKILL')
    else response.end()
  }
  const sessions: string[] = []
  while (left.kills > 0) {
    const created = await call<{ id: string }>('/v1/sessions', {}).catch(() => null)
    if (created) sessions.push(created.id)
    await server!.exited
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
      if (server!.child.exitCode !== null || server!.child.signalCode !== null) await start()
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
  expect(await server!.stop()).toEqual([0, null])
  await target.close()
  rmSync(folder, { recursive: true, force: true })
})
