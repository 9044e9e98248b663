import type { Session } from '@troupe/protocol/session'
import type { UsageReport } from '@troupe/protocol/usage-report'
import { startDemoModel } from '@troupe/demo-model/demo-model'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { random } from './support/chaos/random.ts'
import { killableServer } from './support/killable-server.ts'

const FIGURES = ['input_tokens', 'output_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'] as const
const KILLS = 6

test('M18 kill -9 of the server at any moment: what the ledger has, and the requests it marks, are what was billed', async () => {
  const seed = Date.now() % 1_000_000
  const chance = random(seed, 'ledger')
  const folder = mkdtempSync(join(tmpdir(), 'troupe-ledger-'))
  const model = await startDemoModel()
  const start = () => killableServer(folder, {}, { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'test' })
  const steps = Array.from({ length: 8 }, (_, index) => ({
    tools: [{ name: 'Bash', input: { command: `echo ${index}` } }],
    delay_ms: 40,
  }))
  const scripted = (script: object[]) => [
    { type: 'user.message', content: `Go on\n\`\`\`script\n${JSON.stringify(script)}\n\`\`\`` },
  ]
  let server = await start()
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const headers = { 'content-type': 'application/json' }
    const init = { method, ...(body && { headers, body: JSON.stringify(body) }) }
    return (await (await fetch(server.url + path, init)).json()) as T
  }
  const ledgerOf = async (id: string) => (await call<UsageReport>('GET', `/v1/usage?session_id=${id}`)).totals
  const ended = async (id: string) => {
    const before = await call<Session>('GET', `/v1/sessions/${id}?wait_for=idle&timeout=60`)
    expect(before.status).toBe('idle')
    return before
  }
  let marked = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const events = chance.chance(0.5) ? scripted(steps) : [{ type: 'user.message', content: 'Start a subagent' }]
    const { id, uuid } = await call<Session>('POST', '/v1/sessions', {
      agent: { type: 'inline', permission_mode: 'bypassPermissions' },
      initial_events: events,
      recovery: 'fail',
    })
    await model.nextRequest((request) => request.sessionId === uuid)
    await delay(chance.int(0, 900))
    await server.kill()
    server = await start()
    const session = await ended(id)
    const totals = await ledgerOf(id)
    const where = `seed ${seed}, kill ${kill}: ${JSON.stringify(totals)}`
    for (const figure of [...FIGURES, 'cost_usd', 'unreported_requests'] as const)
      expect([figure, session.usage[figure]], where).toEqual([figure, totals[figure]])
    const requests = model.requests.list(uuid)
    const billed = requests.filter(({ usage }) => usage !== null)
    // The newest requests are those that may be missing, and no more of them than are marked.
    const sumOf = (list: typeof billed) =>
      FIGURES.map((figure) => list.reduce((sum, { usage }) => sum + usage![figure], 0))
    const missing = Array.from({ length: totals.unreported_requests + 1 }, (_, count) => count).find(
      (count) => String(sumOf(billed.slice(0, billed.length - count))) === String(FIGURES.map((name) => totals[name])),
    )
    expect(missing, `${where}, billed ${JSON.stringify(billed.map(({ usage }) => usage))}`).toBeDefined()
    marked += totals.unreported_requests
    // And the turn after it costs what it costs.
    await call('POST', `/v1/sessions/${id}/events`, { events: scripted([{ say: 'still here' }]) })
    await ended(id)
    const after = await ledgerOf(id)
    const fresh = model.requests.list(uuid).slice(requests.length)
    expect(
      FIGURES.map((figure) => after[figure] - totals[figure]),
      where,
    ).toEqual(sumOf(fresh))
  }
  expect(marked).toBeGreaterThan(0)
  await server.stop()
  await model.close()
  rmSync(folder, { recursive: true, force: true })
})
