import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type RealServer, realServer } from '../bench/lib/real-server.ts'
import { median } from '../bench/lib/stats.ts'
import { startDemoModel } from '../packages/demo-model/src/demo-model.ts'

/**
 * `node scripts/soak.ts [--minutes 60] [--workers 4] [--genuine]`: mixed work against one server, and whether its
 * memory, file descriptors, processes and folders are at the end what they were when it had warmed up. The agents are
 * scripted; with `--genuine` real ones play against the demo model. The store grows by what is kept on purpose (the
 * ledger, tombstones, keys of a day): it is told and not judged.
 */
const { values } = parseArgs({
  options: { minutes: { type: 'string' }, workers: { type: 'string' }, genuine: { type: 'boolean' } },
})
const minutes = Number(values.minutes ?? 60)
const workers = Number(values.workers ?? 4)
const SAMPLES = 60
/** The part of the samples in which caches fill and the heap finds its size. */
const WARM_UP = 1 / 3
/** How much more the last third may show than the middle one: a heap breathes, and the samples meet it at any time. */
const MAX_GROWTH = { memory: 0.1, descriptors: 8, agents: 4, folders: 4 }

interface Sample {
  minute: number
  /** Resident bytes that are the server's own; pages of the store's file, which grow with it and can go, are not. */
  memory: number
  descriptors: number
  /** Agent processes. */
  agents: number
  /** Folders of sessions. */
  folders: number
  store: number
  done: number
}

const FAKE_AGENT = fileURLToPath(new URL('../packages/server/test/support/fake-agent.mjs', import.meta.url))
const script = (...steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string) => ({ tools: [{ name: 'Bash', input: { command } }] })
/** What is asked for: an answer, one that is interrupted, calls with approval, failures. */
const PROMPTS = values.genuine
  ? [
      script({ say: 'done' }),
      script({ say: 'late', delay_ms: 60_000 }),
      script(bash('echo x > x'), { say: 'done' }),
      script({ fail: { status: 400 } }),
    ]
  : ['say x', 'hold', 'naps 20', 'crash', 'error overloaded', 'retry', 'subagent done', 'flood 50']
let done = 0
const failures = new Map<string, number>()

/** One session from its beginning to its end: watched, asked again, stopped or answered, searched for, deleted. */
async function work(server: RealServer, turn: number): Promise<void> {
  const call = async <T>(method: string, path: string, body?: unknown, accept = [200]): Promise<T> => {
    const reply = await fetch(server.url + path, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    const text = await reply.text()
    if (!accept.includes(reply.status)) throw new Error(`${method} ${path.replaceAll(/\w{26}/g, '…')}: ${reply.status}`)
    return JSON.parse(text) as T
  }
  const prompt = PROMPTS[turn % PROMPTS.length]!
  const message = (content: string) => ({ events: [{ type: 'user.message', content }] })
  const { id } = await call<{ id: string }>('POST', '/v1/sessions', { metadata: { soak: String(turn % 7) } })
  const watching = new AbortController()
  const stream = await fetch(`${server.url}/v1/sessions/${id}/events/stream`, { signal: watching.signal })
  await call('POST', `/v1/sessions/${id}/events`, message(prompt))
  if (prompt === 'hold' || prompt.includes('late')) {
    await delay(200)
    await call('POST', `/v1/sessions/${id}/events`, { events: [{ type: 'user.interrupt' }] }, [200, 409])
  }
  type Session = { status: string; required_actions: { event_id: string }[] }
  for (;;) {
    const session = await call<Session>('GET', `/v1/sessions/${id}?wait_for=idle&timeout=30`)
    const [ask] = session.required_actions
    if (ask) await call('POST', `/v1/approvals/${ask.event_id}`, { result: 'allow' }, [200, 409])
    else if (session.status === 'idle') break
  }
  await call('GET', `/v1/sessions/${id}/events?limit=1000`)
  await call('GET', '/v1/sessions?limit=20&q=hello')
  await call('GET', '/v1/usage?group_by=day')
  watching.abort()
  await stream.text().catch(() => undefined)
  // The end of its run may still be on its way.
  for (let gone = false; !gone;) {
    const reply = await fetch(`${server.url}/v1/sessions/${id}`, { method: 'DELETE' })
    await reply.text()
    gone = reply.status !== 409
    if (!gone) await delay(20)
  }
  done++
}

const anonymous = (pid: number): number =>
  Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024

function look(server: RealServer, since: number): Sample {
  const data = join(server.folder, 'data')
  const count = (folder: string) => readdirSync(folder).length
  return {
    minute: (performance.now() - since) / 60_000,
    memory: anonymous(server.child.pid!),
    descriptors: count(`/proc/${server.child.pid}/fd`),
    agents: count(join(data, 'agents')),
    folders: count(join(data, 'sessions')),
    store: statSync(join(data, 'troupe.db')).size,
    done,
  }
}

const shown = ({ minute, memory, descriptors, agents, folders, store, done: sessions }: Sample) =>
  `${minute.toFixed(1).padStart(6)} min  ${(memory / 2 ** 20).toFixed(0).padStart(5)} MiB  ${String(descriptors).padStart(4)} descriptors  ${String(agents).padStart(3)} agents  ${String(folders).padStart(4)} folders  store ${(store / 2 ** 20).toFixed(1)} MiB  ${sessions} sessions\n`

const model = values.genuine ? await startDemoModel() : null
await using server = await realServer(
  model ? { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'soak' } : { ANTHROPIC_API_KEY: 'soak' },
  '/health',
  undefined,
  model ? { demo_model: 'off', live_seconds: 5 } : { agent_executable: FAKE_AGENT, live_seconds: 0, spares: 0 },
)
const started = performance.now()
const until = started + minutes * 60_000
const working = Array.from({ length: workers }, async (_, worker) => {
  for (let turn = worker; performance.now() < until; turn += workers)
    await work(server, turn).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error)
      failures.set(reason, (failures.get(reason) ?? 0) + 1)
    })
})
const samples: Sample[] = []
for (let index = 1; index <= SAMPLES && server.child.exitCode === null; index++) {
  await delay(Math.max(0, started + ((until - started) * index) / SAMPLES - performance.now()))
  const sample = look(server, started)
  samples.push(sample)
  if (index % 5 === 0) process.stdout.write(shown(sample))
}
await Promise.all(working)
await model?.close()

const problems: string[] = []
if (server.child.exitCode !== null) problems.push(`the server ended with ${server.child.exitCode}`)
const warm = Math.floor(samples.length * WARM_UP)
const half = Math.floor((samples.length - warm) / 2)
for (const [name, most] of Object.entries(MAX_GROWTH) as [keyof typeof MAX_GROWTH, number][]) {
  const before = median(samples.slice(warm, warm + half).map((sample) => sample[name]))
  const after = median(samples.slice(warm + half).map((sample) => sample[name]))
  const growth = name === 'memory' ? after / before - 1 : after - before
  if (growth > most) problems.push(`${name} grew from ${before} to ${after}`)
}
for (const [reason, times] of failures) problems.push(`${times} times: ${reason}`)
for (const problem of problems) process.stdout.write(`PROBLEM ${problem}\n`)
process.stdout.write(problems.length === 0 ? `flat over ${done} sessions\n` : 'not flat\n')
process.exitCode = problems.length === 0 ? 0 : 1
