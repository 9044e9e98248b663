import { query } from '@anthropic-ai/claude-agent-sdk'
import { startDemoModel } from '@troupe/demo-model/demo-model'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { realServer } from '../lib/real-server.ts'
import { inTurn, median } from '../lib/stats.ts'
import { type Case, ms, times } from '../lib/table.ts'

const KB = 1024

/** What agents that are kept, or started ahead, save: from the wish to the first request that reaches the model. */
export const warm: Case = {
  name: 'warm',
  async *run({ quick }) {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-bench-'))
    const model = await startDemoModel()
    const env = { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'bench' }
    const rounds = quick ? 5 : 15
    let count = 0
    const arrival = async (begin: (prompt: string) => Promise<unknown>): Promise<number> => {
      const prompt = `hello ${randomUUID()} ${++count}`
      const started = Date.now()
      const arrived = model.nextRequest(
        (request) => request.path === '/v1/messages' && (request.lastUserText?.includes(prompt) ?? false),
        AbortSignal.timeout(60_000),
      )
      await begin(prompt)
      return (await arrived).at - started
    }
    const { PATH, LANG } = process.env
    /** The bare SDK, anew or on the transcript of `resume`. */
    const bare = (resume?: string) => {
      let ended: Promise<string | undefined> = Promise.resolve('')
      const drain = async (prompt: string) => {
        const options = {
          cwd: folder,
          env: {
            PATH,
            HOME: folder,
            LANG,
            IS_SANDBOX: '1',
            CLAUDE_CONFIG_DIR: join(folder, 'config'),
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
            ...env,
          },
          settingSources: [],
          includePartialMessages: true,
          ...(resume !== undefined && { resume }),
        }
        let id: string | undefined
        for await (const message of query({ prompt, options })) id = message.session_id
        return id
      }
      const took = arrival(async (prompt) => void (ended = drain(prompt)))
      return { took: took.finally(() => ended), id: () => ended }
    }
    {
      await using server = await realServer(env)
      const call = async <T>(path: string, body?: object): Promise<T> => {
        const init = body && {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }
        return (await (await fetch(server.url + path, init)).json()) as T
      }
      const idle = (id: string) => call(`/v1/sessions/${id}?wait_for=idle&timeout=60`)
      const message = (content: string) => ({ type: 'user.message', content })
      const figure = async (name: string) => {
        const text = await (await fetch(`${server.url}/metrics`)).text()
        return Number(
          text
            .split('\n')
            .find((line) => line.startsWith(`${name} `))
            ?.split(' ')[1] ?? 0,
        )
      }
      const spare = async () => {
        while ((await figure('troupe_spare_agents')) === 0) await delay(50)
        // Its last stirrings are over, and the machine is the next session's.
        await delay(300)
      }
      let id = ''
      const first = (fields: object = {}) =>
        arrival(async (prompt) => {
          const created = await call<{ id: string }>('/v1/sessions', { ...fields, initial_events: [message(prompt)] })
          id = created.id
        }).finally(() => idle(id))
      await first()
      await bare().took
      const [troupe, sdk] = await inTurn(
        rounds,
        async () => {
          await spare()
          return first()
        },
        () => bare().took,
      )
      yield {
        what: 'POST /v1/sessions → first model request, with a spare (bare: query())',
        value: ms(troupe),
        bare: ms(sdk),
        ratio: times(troupe / sdk),
        aim: '≤ 0.4×',
      }
      // Made for a session that turns out another: changed between its creation and its first input.
      const refused: number[] = []
      const cold: number[] = []
      for (let round = 0; round < rounds; round++) {
        await spare()
        const made = await call<{ id: string }>('/v1/sessions', {})
        await call(`/v1/sessions/${made.id}`, { limits: { max_turns: 50 + round } })
        refused.push(
          await arrival((prompt) => call(`/v1/sessions/${made.id}/events`, { events: [message(prompt)] })).finally(() =>
            idle(made.id),
          ),
        )
        const other = await call<{ id: string }>('/v1/sessions', { env: { ROUND: String(round) } })
        cold.push(
          await arrival((prompt) => call(`/v1/sessions/${other.id}/events`, { events: [message(prompt)] })).finally(
            () => idle(other.id),
          ),
        )
      }
      yield {
        what: 'first input → model request, spare refused (bare: a cold start)',
        value: ms(median(refused)),
        bare: ms(median(cold)),
        ratio: times(median(refused) / median(cold)),
        aim: '≤ 1×',
      }
      const { id: kept } = await call<{ id: string }>('/v1/sessions', { initial_events: [message('begin')] })
      await idle(kept)
      const begun = bare()
      await begun.took
      const conversation = await begun.id()
      const [live, resume] = await inTurn(
        rounds,
        () =>
          arrival((prompt) => call(`/v1/sessions/${kept}/events`, { events: [message(prompt)] })).finally(() =>
            idle(kept),
          ),
        () => bare(conversation).took,
      )
      yield {
        what: 'follow-up on a live session → model request (bare: query() with resume)',
        value: ms(live),
        bare: ms(resume),
        ratio: times(live / resume),
        aim: '≤ 0.1×',
      }
      const before = server.memory()
      const many = quick ? 6 : 12
      for (let n = 0; n < many; n++) await first()
      const resting = await figure('troupe_resting_agents')
      await delay(1_000)
      yield {
        what: `server memory for each live session (${resting} rest)`,
        value: `${Math.max(0, Math.round((server.memory() - before) / KB / many))} KiB`,
        aim: '≤ 1 MiB',
      }
    }
    {
      await using server = await realServer(env, '/health', undefined, { live_seconds: 0 })
      const call = async <T>(path: string, body?: object): Promise<T> => {
        const init = body && {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }
        return (await (await fetch(server.url + path, init)).json()) as T
      }
      const idle = (id: string) => call(`/v1/sessions/${id}?wait_for=idle&timeout=60`)
      const { id } = await call<{ id: string }>('/v1/sessions', {
        initial_events: [{ type: 'user.message', content: 'begin' }],
      })
      await idle(id)
      const begun = bare()
      await begun.took
      const conversation = await begun.id()
      const [woken, resume] = await inTurn(
        rounds,
        () =>
          arrival((content) =>
            call(`/v1/sessions/${id}/events`, { events: [{ type: 'user.message', content }] }),
          ).finally(() => idle(id)),
        () => bare(conversation).took,
      )
      yield {
        what: 'follow-up on a session that hibernated → model request (bare: query() with resume)',
        value: ms(woken),
        bare: ms(resume),
        ratio: times(woken / resume),
        aim: '≤ 1.1×',
      }
    }
    await model.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  },
}
