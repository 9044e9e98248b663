import { query } from '@anthropic-ai/claude-agent-sdk'
import { startDemoModel } from '@troupe/demo-model/demo-model'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { get, load } from '../lib/raw-client.ts'
import { realServer } from '../lib/real-server.ts'
import { inTurn } from '../lib/stats.ts'
import { type Case, ms, times } from '../lib/table.ts'

/** From the wish to the first request that reaches the model: a cold session here, against the bare SDK. */
export const firstRequest: Case = {
  name: 'first-request',
  async *run({ quick }) {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-bench-'))
    const model = await startDemoModel()
    const env = { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'bench' }
    let count = 0
    /** Milliseconds until a request with this prompt is there. */
    const arrival = async (prompt: string, begin: (prompt: string) => Promise<void>): Promise<number> => {
      const started = Date.now()
      const arrived = model.nextRequest(
        (request) => request.path === '/v1/messages' && (request.lastUserText?.includes(prompt) ?? false),
        AbortSignal.timeout(60_000),
      )
      await begin(prompt)
      return (await arrived).at - started
    }
    {
      await using server = await realServer(env)
      const ours = () =>
        arrival(`hello ${++count}`, async (prompt) => {
          const response = await fetch(`${server.url}/v1/sessions`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ initial_events: [{ type: 'user.message', content: prompt }] }),
          })
          const { id } = (await response.json()) as { id: string }
          void fetch(`${server.url}/v1/sessions/${id}?wait_for=idle`).catch(() => undefined)
        }).finally(() => idle(server.url))
      const bare = () => {
        let ended: Promise<void> = Promise.resolve()
        return arrival(`hello ${++count}`, async (prompt) => {
          ended = drain(prompt)
        }).finally(() => ended)
      }
      const drain = async (prompt: string) => {
        const { PATH, HOME, LANG } = process.env
        const options = {
          cwd: folder,
          env: {
            PATH,
            HOME,
            LANG,
            IS_SANDBOX: '1',
            CLAUDE_CONFIG_DIR: join(folder, 'config'),
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
            ...env,
          },
          settingSources: [],
          includePartialMessages: true,
        }
        for await (const _message of query({ prompt, options }));
      }
      await inTurn(1, ours, bare)
      const [troupe, sdk] = await inTurn(quick ? 3 : 9, ours, bare)
      yield {
        what: 'POST /v1/sessions → first model request (bare: query())',
        value: ms(troupe),
        bare: ms(sdk),
        ratio: times(troupe / sdk),
        aim: '≤ 1.1×',
      }
    }
    await model.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  },
}

/** Waits until no session runs, so that the next measurement has the machine to itself. */
async function idle(url: string): Promise<void> {
  await load(url, () => get('/health'), { connections: 1, requests: 1 })
  for (;;) {
    const response = await fetch(`${url}/v1/sessions?statuses[]=running&statuses[]=rescheduling`)
    const { data } = (await response.json()) as { data: unknown[] }
    if (data.length === 0) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
