import type { Approval } from '@troupe/protocol/approval'
import type { SessionEvent } from '@troupe/protocol/event'
import type { Session } from '@troupe/protocol/session'
import { startDemoModel } from '@troupe/demo-model/demo-model'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { random } from './support/chaos/random.ts'
import { killableServer } from './support/killable-server.ts'

const KILLS = 8

test('A16 kill -9 at any moment between ask and effect: decided once, made once or not at all, and the session goes on', async () => {
  const seed = Date.now() % 1_000_000
  const chance = random(seed, 'approvals')
  const folder = mkdtempSync(join(tmpdir(), 'troupe-approvals-'))
  const model = await startDemoModel()
  const start = () => killableServer(folder, {}, { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'test' })
  let server = await start()
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const headers = { 'content-type': 'application/json' }
    const init = { method, ...(body && { headers, body: JSON.stringify(body) }) }
    return (await (await fetch(server.url + path, init)).json()) as T
  }
  const message = (script: object[]) => ({
    type: 'user.message',
    content: `Play\n\`\`\`script\n${JSON.stringify(script)}\n\`\`\``,
  })
  const idle = (id: string) => call<Session>('GET', `/v1/sessions/${id}?wait_for=idle&timeout=60`)
  const fates: string[] = []
  for (let kill = 0; kill < KILLS; kill++) {
    const where = `seed ${seed}, kill ${kill}`
    const held = chance.chance(0.3)
    const created = await call<Session>('POST', '/v1/sessions', {
      initial_events: [
        message([{ tools: [{ name: 'Bash', input: { command: 'echo ran >> log.txt' } }] }, { say: 'done' }]),
      ],
      ...(held && { approvals: { hold_seconds: 60 } }),
    })
    const { id, cwd } = created
    // Half of them die while they ask, half after they were answered.
    if (chance.chance(0.5)) {
      const asking = await idle(id)
      await call('POST', `/v1/approvals/${asking.required_actions[0]!.event_id}`, { result: 'allow' })
    }
    await delay(chance.int(0, 1_200))
    await server.kill()
    server = await start()
    let session = await idle(id)
    for (let asks = 0; session.required_actions.length > 0; asks++) {
      expect(asks, where).toBeLessThan(3)
      await call('POST', `/v1/approvals/${session.required_actions[0]!.event_id}`, { result: 'allow' })
      session = await idle(id)
    }
    const log = join(cwd, 'log.txt')
    const times = existsSync(log) ? readFileSync(log, 'utf8').split('\n').length - 1 : 0
    expect(times, where).toBeLessThanOrEqual(1)
    const { data } = await call<{ data: Approval[] }>('GET', `/v1/approvals?status=all&session_id=${id}`)
    const used = data.filter(({ status }) => status === 'allowed')
    expect(used.length, where).toBeLessThanOrEqual(1)
    expect(
      data.filter(({ status }) => status === 'pending'),
      where,
    ).toEqual([])
    const events = (await call<{ data: SessionEvent[] }>('GET', `/v1/sessions/${id}/events?limit=1000`)).data
    const verdicts = events
      .filter(({ type }) => type === 'user.tool_confirmation')
      .map(({ tool_use_id }) => tool_use_id)
    expect(new Set(verdicts).size, where).toBe(verdicts.length)
    const { last_error: error, stop_reason: stop } = session
    // Either the call was made and its turn came to its end, or it is said that it may have been made.
    if (stop!.type === 'end_turn') expect(times, where).toBe(1)
    else
      expect(error, where).toMatchObject({
        code: 'server_restarted',
        side_effect_possible: true,
        call: { name: 'Bash' },
      })
    fates.push(stop!.type)
    await call('POST', `/v1/sessions/${id}/events`, { events: [message([{ say: 'still here' }])] })
    expect((await idle(id)).result!.text, where).toBe('still here')
  }
  expect(fates).toContain('end_turn')
  await server.stop()
  await model.close()
  rmSync(folder, { recursive: true, force: true })
})
