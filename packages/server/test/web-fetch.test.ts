import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resolveAgent } from '../src/agents/resolve-agent.ts'
import { PermissionTable } from '../src/runner/policy.ts'
import { sessionRow } from './support/rows.ts'
import { type TestServer, testServer } from './support/server.ts'

const toolset = (config: object) => ({ type: 'agent_toolset_20260401', configs: [{ name: 'web_fetch', ...config }] })
/** What becomes of a fetch where everything else is allowed. */
const judged = (config: object) => {
  const allowed = { permission_policy: { type: 'always_allow' }, ...config }
  const agent = resolveAgent({ type: 'inline', permission_mode: 'bypassPermissions', tools: [toolset(allowed)] }, null)
  const table = new PermissionTable(sessionRow({ agent }), [])
  return (url: unknown) => table.evaluate('WebFetch', { url, prompt: 'x' }).permission
}

describe('where the toolset lets WebFetch go', () => {
  test.each([
    ['https://docs.example.com/a', 'allow'],
    ['https://api.docs.example.com', 'allow'],
    ['https://DOCS.example.com.:8443/a?x#y', 'allow'],
    ['https://other.org/guide', 'allow'],
    ['https://other.org/guide/first', 'allow'],
    ['https://other.org/guidebook', 'deny'],
    ['https://other.org/guide/../x', 'deny'],
    ['https://other.org/guide/%2e%2e/x', 'deny'],
    ['https://other.org/guide/..%2fx', 'deny'],
    ['https://other.org/guide/%252e%252e/x', 'deny'],
    ['https://other.org/', 'deny'],
    ['https://example.com', 'deny'],
    ['https://docs.example.com.evil.org', 'deny'],
    ['https://evildocs.example.com', 'deny'],
    ['https://docs.example.com@evil.org/', 'deny'],
    ['https://evil.org/?docs.example.com', 'deny'],
    ['http://127.0.0.1/', 'deny'],
    ['no address', 'deny'],
    [undefined, 'deny'],
  ])('AG40 with a list of domains %s is: %s', (url, permission) => {
    expect(judged({ allowed_domains: ['Docs.Example.com', 'other.org/guide/'] })(url)).toBe(permission)
  })

  test.each([
    ['https://example.org', 'allow'],
    ['https://other.org/open', 'allow'],
    ['https://ads.example.com', 'deny'],
    ['https://x.ads.example.com/y', 'deny'],
    ['https://other.org/private/x', 'deny'],
    ['https://other.org/%70rivate/x', 'deny'],
    ['https://other.org/open%2f..%2fprivate', 'deny'],
    ['no address', 'deny'],
  ])('AG40 with domains that are blocked %s is: %s', (url, permission) => {
    expect(judged({ blocked_domains: ['ads.example.com', 'other.org/private'] })(url)).toBe(permission)
  })

  test('AG40 without either every address is as the policy says', () => {
    expect(judged({})('https://example.com')).toBe('allow')
    expect(judged({ permission_policy: { type: 'always_ask' } })('https://example.com')).toBe('ask')
  })
})

describe('bounds of a toolset over HTTP', () => {
  let server: TestServer
  beforeAll(async () => (server = await testServer()))
  afterAll(() => server.stop())
  const save = (tools: object[], more: object = {}) =>
    server.request('POST', '/v1/agents', { name: 'A', model: 'sonnet', tools, ...more })

  test('AG41 domains are kept with the agent and its sessions; what was shown can be sent again and is no change', async () => {
    const { body: agent } = await save([toolset({ allowed_domains: ['docs.example.com'] })])
    const config = { name: 'web_fetch', url_sources: null, allowed_domains: ['docs.example.com'] }
    const tools = [{ configs: expect.arrayContaining([expect.objectContaining(config)]) }]
    expect(agent).toMatchObject({ version: 1, tools })
    const again = await server.post(`/v1/agents/${String(agent.id)}`, { tools: agent.tools })
    expect(again).toMatchObject({ version: 1, tools })
    const session = await server.create(null, { agent: agent.id })
    expect(session.agent).toMatchObject({ tools })
  })

  test.each([
    [{ allowed_domains: [] }, 'validation_failed'],
    [{ allowed_domains: ['https://example.com'] }, 'validation_failed'],
    [{ allowed_domains: ['*.example.com'] }, 'validation_failed'],
    [{ allowed_domains: ['example.com:8080'] }, 'validation_failed'],
    [{ allowed_domains: Array.from({ length: 65 }, (_, n) => `a${n}.com`) }, 'validation_failed'],
    [{ allowed_domains: ['a.com'], blocked_domains: ['b.com'] }, 'validation_failed'],
    [{ url_sources: 'all' }, 'unsupported_feature'],
    [{ max_content_tokens: 1000 }, 'unsupported_feature'],
    [{ name: 'web_search', allowed_domains: ['a.com'] }, 'unsupported_feature'],
    [{ name: 'bash', allowed_domains: ['a.com'] }, 'unsupported_feature'],
    [{ surprise: true }, 'unsupported_feature'],
  ])('AG42 a bound that would not be kept is refused: %j', async (config, code) => {
    expect(await save([toolset(config)])).toMatchObject({ status: 400, body: { code } })
  })

  test('AG42 so is an agent with domains of its own in a roster, and a place where the model must run', async () => {
    const { body: agent } = await save([toolset({ blocked_domains: ['a.com'] })])
    const refused = await save([], { multiagent: { type: 'coordinator', agents: [agent.id] } })
    expect(refused).toMatchObject({ status: 400, body: { code: 'unsupported_feature' } })
    const geo = await save([], { model: { id: 'sonnet', inference_geo: 'eu' } })
    expect(geo).toMatchObject({ status: 400, body: { code: 'unsupported_feature' } })
    const unset = await save([toolset({ url_sources: null })], { model: { id: 'sonnet', inference_geo: null } })
    expect(unset.status).toBe(200)
  })
})
