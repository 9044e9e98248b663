import type { Anthropic } from 'anthropic-sdk-1.12'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CALLS } from './support/sdk-calls.ts'
import { Anthropic088, counted, GENERATIONS } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

/** Families of `client.beta` that this server answers whole. The others of the hosted API are for later, or another API. */
const SERVED = [
  'models',
  'agents',
  'environments',
  'sessions',
  'files',
  'skills',
  'deployments',
  'deploymentRuns',
  'webhooks',
]
const LATER = ['vaults', 'memoryStores', 'userProfiles', 'dreams', 'tunnels', 'environments.work']
/** Loops of the SDK around other calls, and what asks no server: shown by rules of their own. */
const ELSEWHERE = [
  'environments.work.poller',
  'environments.work.worker',
  'webhooks.unwrap',
  'webhooks.parseUnverified',
]

type Method = (...args: unknown[]) => Promise<unknown>
/** Every method of a client, by its path, with the object it is called on. */
function methodsOf(beta: object): Map<string, [object, Method]> {
  const found = new Map<string, [object, Method]>()
  const walk = (owner: object, path: string) => {
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(owner)))
      if (name !== 'constructor' && !name.startsWith('_'))
        found.set(`${path}${name}`, [owner, (owner as Record<string, Method>)[name]!])
    for (const [name, part] of Object.entries(owner))
      if (name !== '_client' && part && typeof part === 'object') walk(part as object, `${path}${name}.`)
  }
  walk(beta, '')
  return found
}
const within = (families: string[], name: string) => families.some((family) => name.startsWith(`${family}.`))

describe.each([...GENERATIONS, { version: '0.88.0', Client: Anthropic088 as unknown as typeof Anthropic }])(
  'every method of the official SDK $version',
  ({ Client }) => {
    let server: TestServer
    beforeAll(async () => (server = await testServer()))
    afterAll(() => server.stop())

    test('W17 each method of a family that is served is answered', async () => {
      const { beta } = new Client(counted(server.url).options)
      const methods = [...methodsOf(beta).keys()].filter(
        (name) => within(SERVED, name) && !within(LATER, name) && !ELSEWHERE.includes(name),
      )
      expect(methods.filter((name) => !(name in CALLS))).toEqual([])
      const ids: Record<string, string> = {}
      const failures: unknown[] = []
      for (const [name, call] of Object.entries(CALLS))
        if (methods.includes(name))
          await call(beta, ids).catch((error: unknown) => failures.push([name, String(error)]))
      expect(failures).toEqual([])
      expect(methods.length).toBeGreaterThan(30)
    })

    test('W18 each method of a family that comes later is refused by name', async () => {
      const { options } = counted(server.url)
      const { beta } = new Client({ ...options, maxRetries: 0 })
      const parents = { vault_id: 'x', memory_store_id: 'x', tunnel_id: 'x', environment_id: 'x', user_profile_id: 'x' }
      const answers = new Map<string, unknown>()
      for (const [name, [owner, method]] of methodsOf(beta)) {
        if (!within(LATER, name) || ELSEWHERE.includes(name)) continue
        const top = name.split('.').length === 2 && /\.(create|list)$/.test(name)
        const asked = (async () => method.apply(owner, top ? [{}] : ['x', parents]))()
        answers.set(
          name,
          await asked.then(
            () => 'answered',
            (error: { error?: { code?: string } }) => error.error?.code ?? String(error),
          ),
        )
      }
      expect(new Set(answers.values())).toEqual(new Set(['unsupported_feature']))
      expect(answers.size).toBeGreaterThan(10)
    })
  },
)
