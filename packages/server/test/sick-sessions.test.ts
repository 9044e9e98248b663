import { type DemoModel, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import type { Session } from '@troupe/protocol/session'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { RecentErrors } from '../src/metrics/recent-errors.ts'
import { waitsFor } from '../src/metrics/sick-sessions.ts'
import { type TestServer, testServer } from './support/server.ts'

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8')

interface Rule {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: { summary: string }
}
const { groups } = parse(read('packaging/alerts.yaml')) as { groups: { name: string; rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)
const guide = read('docs/operations.md')

const scripted = (...steps: Step[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string): Step => ({ tools: [{ name: 'Bash', input: { command } }] })

let ahead = 0
let model: DemoModel
let server: TestServer
beforeAll(async () => {
  model = await startDemoModel()
  server = await testServer(
    { agent_executable: undefined, demo_model: 'on', max_running: 4 },
    { demoModel: model, env: { ANTHROPIC_API_KEY: undefined }, clock: { now: () => Date.now() + ahead } },
  )
})
afterAll(async () => {
  await server.stop()
  await model.close()
})

const scrape = async () => (await server.request('GET', '/metrics')).text
type Sample = { name: string; labels: Record<string, string>; value: number }
const samplesOf = (text: string): Sample[] =>
  [...text.matchAll(/^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/gm)].map(([, name, labels = '', value]) => ({
    name: name!,
    labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, of]) => [key!, of!])),
    value: Number(value),
  }))

/** What a rule that looks at one moment only would fire for; null: the rule looks at more. */
function firing({ expr }: Rule, samples: Sample[]): Sample[] | null {
  const [, name, labels = '', sign, limit] = /^(\w+)(?:\{([^}]*)\})? (>|>=) ([\d.]+)$/.exec(expr) ?? []
  if (!name) return null
  const wanted = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, of]) => [key!, of!] as const)
  return samples.filter(
    (sample) =>
      sample.name === name &&
      wanted.every(([key, of]) => sample.labels[key] === of) &&
      (sign === '>' ? sample.value > Number(limit) : sample.value >= Number(limit)),
  )
}

test('OT20 the sick sessions among others are found from the metrics alone, each by its alert, with its workspace', async () => {
  const bypass = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }
  const hangs = await server.create(scripted(bash('tail -f /dev/null'), { say: 'never' }), bypass)
  const stalls = await server.create(scripted({ hang: true }), bypass)
  const asks = await server.create(scripted(bash('touch x'), { say: 'done' }))
  await server.idle(asks.id)
  await server.event(hangs.id, ({ type }) => type === 'span.model_request_end')
  await server.event(stalls.id, ({ type }) => type === 'turn.started')
  const well = await server.create(scripted({ say: 'fine' }))
  await server.idle(well.id)
  const page = async () => {
    const samples = samplesOf(await scrape())
    return rules.flatMap((rule) =>
      (firing(rule, samples) ?? []).map(({ labels }) => ({ alert: rule.alert, ...labels })),
    )
  }
  expect(await page()).toEqual([])
  ahead = 2 * 3_600_000
  const storms = await server.create(scripted({ fail: { status: 400 } }))
  await server.idle(storms.id)
  for (let times = 1; times < 5; times++) {
    await server.send(storms.id, scripted({ fail: { status: 400 } }))
    await server.idle(storms.id)
  }
  const found = await page()
  const of = { workspace_id: 'wrkspc_default' }
  const alerts = [
    { alert: 'TroupeToolHangs', ...of, session_id: hangs.id, waits_for: 'tool' },
    { alert: 'TroupeModelHangs', ...of, session_id: stalls.id, waits_for: 'model' },
    { alert: 'TroupeNobodyAnswers', ...of, session_id: asks.id },
    { alert: 'TroupeSessionFails', ...of, session_id: storms.id, code: expect.any(String) as string },
  ]
  expect(found).toEqual(alerts)
  // The walk goes on with what the labels name: each page is there, and what it says fits.
  const [tool] = (await server.events(hangs.id)).filter(({ type }) => type === 'agent.tool_use')
  expect(tool).toMatchObject({ input: { command: 'tail -f /dev/null' } })
  expect((await server.get<Session>(`/v1/sessions/${asks.id}`)).required_actions).toHaveLength(1)
  for (const { id } of [hangs, stalls]) {
    await server.post(`/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
    await server.idle(id)
  }
  await server.post(`/v1/sessions/${asks.id}/events`, { events: [{ type: 'user.interrupt', mode: 'now' }] })
  await server.idle(asks.id)
  ahead += 3_600_000
  expect(await page()).toEqual([])
})

const typesOf = (text: string) =>
  new Map([...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name, type]) => [name!, type!]))

/** Fails where an expression asks for a metric that there is not, or in another way than it can be asked. Answers how many it asks for. */
function check(title: string, expr: string, types: ReadonlyMap<string, string>): number {
  const names = [...expr.replaceAll(/"[^"]*"/g, '').matchAll(/\b((?:troupe|nodejs|process)_\w+)/g)].map(
    ([, name]) => name!,
  )
  for (const name of names) {
    const type = types.get(name) ?? types.get(name.replace(/_(bucket|sum|count)$/, ''))
    expect([title, name, type]).not.toEqual([title, name, undefined])
    // Only what counts has a rate, and only of what counts is one asked for.
    const rated = new RegExp(`(rate|increase)\\(${name}\\b`).test(expr)
    expect([title, name, rated]).toEqual([title, name, type !== 'gauge'])
  }
  return names.length
}

test('OT21 the alert rules ask for metrics that there are, and the guide says what to do for each', async () => {
  const types = typesOf(await scrape())
  expect(rules.length).toBeGreaterThan(10)
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  for (const { alert, expr, labels, annotations, ...rest } of rules) {
    expect(alert).toMatch(/^Troupe[A-Z]\w+$/)
    expect(['critical', 'warning', 'info']).toContain(labels.severity)
    expect(annotations.summary).not.toBe('')
    expect(Object.keys(rest).filter((key) => key !== 'for')).toEqual([])
    const used = check(alert, expr, types)
    if (alert !== 'TroupeDown') expect([alert, used]).not.toEqual([alert, 0])
  }
  const listed = [...guide.matchAll(/^\| `(Troupe\w+)` \|/gm)].map(([, alert]) => alert)
  expect(listed).toEqual(rules.map(({ alert }) => alert))
})

test('OT21 the dashboard shows metrics that there are', async () => {
  const types = typesOf(await scrape())
  const { panels } = JSON.parse(read('packaging/dashboard.json')) as {
    panels: { id: number; title: string; targets: { expr: string }[] }[]
  }
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  for (const { title, targets } of panels)
    for (const { expr } of targets) expect([title, check(title, expr, types)]).toEqual([title, 1])
})

test('OT22 the sessions that a scrape names are few, whatever happens, and errors are forgotten with time', () => {
  const errors = new RecentErrors()
  for (let n = 0; n < 5_000; n++) errors.add({ sessionId: `sesn_${n}`, createdAt: 1_000 }, 'overloaded')
  for (let n = 0; n < 300; n++) errors.add({ sessionId: 'sesn_storm', createdAt: 1_000 + n }, 'rate_limit')
  for (let n = 0; n < 3; n++) errors.add({ sessionId: 'sesn_other', createdAt: 1_000 }, 'process_crashed')
  expect(errors.worst(2, 2_000)).toEqual([
    { sessionId: 'sesn_storm', code: 'rate_limit', errors: 100 },
    { sessionId: 'sesn_other', code: 'process_crashed', errors: 3 },
  ])
  expect(errors.worst(5, 2_000)).toHaveLength(5)
  // The newest thousand are known, and none of them ten minutes later.
  expect(errors.worst(10_000, 2_000)).toHaveLength(1_000)
  expect(errors.worst(5, 700_000)).toEqual([])
  const silent = { asked: 0, openCalls: 0, lastType: 'agent.tool_result' } as const
  expect(
    [{}, { openCalls: 1 }, { openCalls: 1, asked: 1 as const }, { lastType: 'session.setup_started' }].map((more) =>
      waitsFor({ ...silent, ...more }),
    ),
  ).toEqual(['model', 'tool', 'answer', 'tool'])
})
