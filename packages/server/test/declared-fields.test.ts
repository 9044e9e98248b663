import { toFile } from 'anthropic-sdk-1.12'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fieldsOf } from './support/declared-fields.ts'
import { counted, GENERATIONS, say } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

type Fields = Record<string, unknown>
interface Place {
  file: string
  /** Interfaces of the SDK whose fields may stand there. */
  of: string[]
  path: string
  /** A body that is taken, with these fields at the place. */
  body: (at: Fields) => Fields
  /** What must stand there besides the field that is tried. */
  valid: (kind: string) => Fields
}

/** Wrong for every field that is declared: who takes it does not look. */
const PROBE = [{ probe: 1 }]
const AGENTS = 'agents/agents.d.ts'
const SESSIONS = 'sessions/sessions.d.ts'
const EVENTS = 'sessions/events.d.ts'
const ENVIRONMENTS = 'environments/environments.d.ts'
const DEPLOYMENTS = 'deployments.d.ts'
const tools = ['Bash', 'Edit', 'Glob', 'Grep', 'Read', 'WebFetch', 'WebSearch', 'Write']
const snake = (name: string) => name.replaceAll(/\B[A-Z]/g, (letter) => `_${letter}`).toLowerCase()

let server: TestServer
let ids: Record<'agent' | 'environment' | 'session' | 'deployment' | 'file', string>
const cms = (name: string) => `BetaManagedAgents${name}`

beforeAll(async () => {
  server = await testServer()
  const [{ Client }] = GENERATIONS as [(typeof GENERATIONS)[0]]
  const { beta } = new Client(counted(server.url).options)
  const agent = await beta.agents.create({ name: 'A', model: 'sonnet' })
  const environment = await beta.environments.create({ name: 'E' })
  const session = await beta.sessions.create({ agent: agent.id, environment_id: environment.id })
  const file = await beta.files.upload({ file: await toFile(Buffer.from('a'), 'a.txt') })
  const deployment = await beta.deployments.create({
    name: 'D',
    agent: agent.id,
    environment_id: environment.id,
    initial_events: [say('hello')],
  })
  await beta.deployments.run(deployment.id)
  await beta.skills.create({
    files: [await toFile(Buffer.from('---\nname: greet\ndescription: How to greet\n---\nHi.'), 'greet/SKILL.md')],
  })
  ids = { agent: agent.id, environment: environment.id, session: session.id, deployment: deployment.id, file: file.id }
})
afterAll(() => server.stop())

function places(): Place[] {
  const { agent, environment, session, deployment, file } = ids
  const agents = { file: AGENTS, path: '/v1/agents' }
  const base = { name: 'B', model: 'sonnet' }
  const sessions = { file: SESSIONS, path: '/v1/sessions' }
  const plain = { agent, environment_id: environment }
  const envs = { file: ENVIRONMENTS, path: '/v1/environments' }
  const events = { file: EVENTS, path: `/v1/sessions/${session}/events` }
  const depl = { file: DEPLOYMENTS, path: '/v1/deployments' }
  const deployed = { ...plain, name: 'D2', initial_events: [say('hello')] }
  const toolset = (fields: Fields) => ({ ...base, tools: [{ type: 'agent_toolset_20260401', ...fields }] })
  const mcp = (fields: Fields) => ({
    ...base,
    mcp_servers: [{ type: 'url', name: 'm', url: 'https://example.com/mcp' }],
    tools: [{ type: 'mcp_toolset', mcp_server_name: 'm', ...fields }],
  })
  const multi = (fields: Fields) => ({ ...base, multiagent: { type: 'multiagent_20261001', ...fields } })
  const message = (block: Fields) => ({ events: [{ type: 'user.message', content: [block] }] })
  const none = () => ({})
  return [
    { ...agents, of: ['AgentCreateParams'], body: (at) => ({ ...base, ...at }), valid: none },
    { ...agents, path: `/v1/agents/${agent}`, of: ['AgentUpdateParams'], body: (at) => at, valid: none },
    {
      ...agents,
      of: [cms('ModelConfigParams')],
      body: (at) => ({ ...base, model: at }),
      valid: () => ({ id: 'sonnet' }),
    },
    { ...agents, of: [cms('AgentToolset20260401Params')], body: toolset, valid: none },
    {
      ...agents,
      of: [cms('AgentToolsetDefaultConfigParams')],
      body: (at) => toolset({ default_config: at }),
      valid: none,
    },
    {
      ...agents,
      of: tools.map((name) => cms(`${name}ToolConfigParams`)),
      body: (at) => toolset({ configs: [at] }),
      valid: (kind) => ({ name: snake(/Agents(\w+)ToolConfig/.exec(kind)![1]!) }),
    },
    { ...agents, of: [cms('MCPToolsetParams')], body: mcp, valid: none },
    {
      ...agents,
      of: [cms('MCPToolConfigParams')],
      body: (at) => mcp({ configs: [at] }),
      valid: () => ({ name: 'add' }),
    },
    { ...agents, of: [cms('MCPToolsetDefaultConfigParams')], body: (at) => mcp({ default_config: at }), valid: none },
    {
      ...agents,
      of: [cms('URLMCPServerParams')],
      body: (at) => ({ ...mcp({}), mcp_servers: [at] }),
      valid: () => ({ type: 'url', name: 'm', url: 'https://example.com/mcp' }),
    },
    {
      ...agents,
      of: [cms('CustomToolParams')],
      body: (at) => ({ ...base, tools: [at] }),
      valid: () => ({ type: 'custom', name: 't', description: 'T', input_schema: { type: 'object' } }),
    },
    {
      ...agents,
      of: [cms('CustomSkillParams'), cms('AnthropicSkillParams')],
      body: (at) => ({ ...base, skills: [at] }),
      valid: (kind) => ({ type: kind.includes('Custom') ? 'custom' : 'anthropic', skill_id: 'skill_x' }),
    },
    { ...agents, of: [cms('Multiagent20261001Params')], body: multi, valid: none },
    {
      ...agents,
      of: [cms('MultiagentCoordinatorParams')],
      body: (at) => ({ ...base, multiagent: at }),
      valid: () => ({ type: 'coordinator', agents: [agent] }),
    },
    {
      ...agents,
      of: [cms('MultiagentSubagentsEnabledParams')],
      body: (at) => multi({ subagents: at }),
      valid: () => ({ type: 'enabled' }),
    },
    {
      ...agents,
      of: [cms('MultiagentInlineAgentsEnabledParams')],
      body: (at) => multi({ subagents: { type: 'enabled', inline_agents: at } }),
      valid: () => ({ type: 'enabled' }),
    },
    { ...envs, of: ['EnvironmentCreateParams'], body: (at) => ({ name: 'E2', ...at }), valid: none },
    {
      ...envs,
      path: `/v1/environments/${environment}`,
      of: ['EnvironmentUpdateParams'],
      body: (at) => at,
      valid: none,
    },
    {
      ...envs,
      of: ['BetaCloudConfigParams'],
      body: (at) => ({ name: 'E2', config: at }),
      valid: () => ({ type: 'cloud' }),
    },
    {
      ...envs,
      of: ['BetaLimitedNetworkParams'],
      body: (at) => ({ name: 'E2', config: { type: 'cloud', networking: at } }),
      valid: () => ({ type: 'limited' }),
    },
    {
      ...envs,
      of: ['BetaPackagesParams'],
      body: (at) => ({ name: 'E2', config: { type: 'cloud', packages: at } }),
      valid: none,
    },
    { ...sessions, of: ['SessionCreateParams'], body: (at) => ({ ...plain, ...at }), valid: none },
    { ...sessions, path: `/v1/sessions/${session}`, of: ['SessionUpdateParams'], body: (at) => at, valid: none },
    {
      ...sessions,
      path: `/v1/sessions/${session}`,
      of: [cms('SessionAgentUpdate')],
      body: (at) => ({ agent: at }),
      valid: none,
    },
    {
      ...sessions,
      of: [cms('AgentParams'), cms('AgentWithOverridesParams')],
      body: (at) => ({ ...plain, agent: at }),
      valid: (kind) => ({ type: kind.includes('Overrides') ? 'agent_with_overrides' : 'agent', id: agent }),
    },
    {
      ...sessions,
      of: [cms('BudgetLimit')],
      body: (at) => ({ ...plain, budget: at }),
      valid: () => ({ type: 'limit', max_list_cost: { amount: '100', currency: 'USD' } }),
    },
    {
      ...sessions,
      of: [cms('FileResourceParams')],
      body: (at) => ({ ...plain, resources: [at] }),
      valid: () => ({ type: 'file', file_id: file }),
    },
    {
      ...sessions,
      of: [cms('GitHubRepositoryResourceParams')],
      body: (at) => ({ ...plain, resources: [at] }),
      valid: () => ({ type: 'github_repository', url: 'https://github.com/a/b' }),
    },
    {
      ...sessions,
      of: [cms('BranchCheckout'), cms('CommitCheckout')],
      body: (at) => ({
        ...plain,
        resources: [{ type: 'github_repository', url: 'https://github.com/a/b', checkout: at }],
      }),
      valid: (kind) =>
        kind.includes('Branch') ? { type: 'branch', name: 'main' } : { type: 'commit', sha: 'a'.repeat(40) },
    },
    {
      ...sessions,
      file: 'sessions/resources.d.ts',
      path: `/v1/sessions/${session}/resources`,
      of: ['ResourceAddParams'],
      body: (at) => at,
      valid: () => ({ type: 'file', file_id: file }),
    },
    { ...events, of: ['EventSendParams'], body: (at) => at, valid: () => ({ events: [say('hello')] }) },
    {
      ...events,
      of: ['UserMessage', 'UserInterrupt', 'UserToolConfirmation', 'UserCustomToolResult'].map((name) =>
        cms(`${name}EventParams`),
      ),
      body: (at) => ({ events: [at] }),
      valid: (kind) =>
        ({
          UserMessage: say('hello'),
          UserInterrupt: { type: 'user.interrupt' },
          UserToolConfirmation: { type: 'user.tool_confirmation', tool_use_id: 'sevt_x', result: 'allow' },
          UserCustomToolResult: { type: 'user.custom_tool_result', custom_tool_use_id: 'sevt_x' },
        })[/Agents(\w+)EventParams/.exec(kind)![1]!]!,
    },
    {
      ...events,
      of: [cms('SystemMessageEventParams')],
      body: (at) => ({ events: [say('hello'), at] }),
      valid: () => ({ type: 'system.message', content: [{ type: 'text', text: 'x' }] }),
    },
    { ...events, of: [cms('TextBlock')], body: message, valid: () => ({ type: 'text', text: 'x' }) },
    {
      ...events,
      of: [cms('ImageBlock')],
      body: message,
      valid: () => ({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } }),
    },
    {
      ...events,
      of: [cms('DocumentBlock')],
      body: message,
      valid: () => ({ type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'x' } }),
    },
    {
      ...events,
      of: [cms('Base64ImageSource'), cms('URLImageSource'), cms('FileImageSource')],
      body: (at) => message({ type: 'image', source: at }),
      valid: (kind) =>
        kind.includes('Base64')
          ? { type: 'base64', media_type: 'image/png', data: 'AAAA' }
          : kind.includes('URL')
            ? { type: 'url', url: 'https://example.com/a.png' }
            : { type: 'file', file_id: file },
    },
    {
      ...events,
      of: ['Base64', 'PlainText', 'URL', 'File'].map((name) => cms(`${name}DocumentSource`)),
      body: (at) => message({ type: 'document', source: at }),
      valid: (kind) =>
        kind.includes('Base64')
          ? { type: 'base64', media_type: 'application/pdf', data: 'AAAA' }
          : kind.includes('URL')
            ? { type: 'url', url: 'https://example.com/a.pdf' }
            : kind.includes('Plain')
              ? { type: 'text', media_type: 'text/plain', data: 'x' }
              : { type: 'file', file_id: file },
    },
    { ...depl, of: ['DeploymentCreateParams'], body: (at) => ({ ...deployed, ...at }), valid: none },
    { ...depl, path: `/v1/deployments/${deployment}`, of: ['DeploymentUpdateParams'], body: (at) => at, valid: none },
    {
      ...depl,
      of: [cms('ScheduleParams')],
      body: (at) => ({ ...deployed, schedule: at }),
      valid: () => ({ type: 'cron', expression: '0 3 * * *', timezone: 'UTC' }),
    },
  ]
}

test('W23 no field of a request that the official SDK declares is ignored', async () => {
  const ignored: string[] = []
  const refused: string[] = []
  let tried = 0
  const send = (path: string, body: Fields) => server.request('POST', path, body)
  for (const { file, of, path, body, valid } of places())
    for (const kind of of) {
      const whole = await send(path, body(valid(kind)))
      if (whole.status !== 200) refused.push(`${kind}: ${whole.body.code}`)
      for (const field of fieldsOf(file, kind)) {
        tried++
        const { status } = await send(path, body({ ...valid(kind), [field]: PROBE }))
        if (status !== 400) ignored.push(`${kind}.${field}: ${status}`)
      }
    }
  expect(ignored).toEqual([])
  // Without the field that is wrong each is taken, but for what names a thing that is not there or is not supported.
  expect(refused).toEqual([
    'BetaManagedAgentsCustomSkillParams: skill_not_found',
    'BetaManagedAgentsAnthropicSkillParams: unsupported_feature',
    'BetaManagedAgentsUserToolConfirmationEventParams: approval_not_found',
    'BetaManagedAgentsUserCustomToolResultEventParams: approval_not_found',
    'BetaManagedAgentsFileImageSource: validation_failed',
    'BetaManagedAgentsFileDocumentSource: validation_failed',
  ])
  expect(tried).toBeGreaterThan(150)
})

const LISTS: [path: string, file: string, kind: string][] = [
  ['/v1/agents', AGENTS, 'AgentListParams'],
  ['/v1/environments', ENVIRONMENTS, 'EnvironmentListParams'],
  ['/v1/sessions', SESSIONS, 'SessionListParams'],
  ['/v1/sessions/{session}/events', EVENTS, 'EventListParams'],
  ['/v1/sessions/{session}/threads', 'sessions/threads/threads.d.ts', 'ThreadListParams'],
  ['/v1/deployments', DEPLOYMENTS, 'DeploymentListParams'],
  ['/v1/deployment_runs', 'deployment-runs.d.ts', 'DeploymentRunListParams'],
  ['/v1/files', 'files.d.ts', 'FileListParams'],
  ['/v1/skills', 'skills/skills.d.ts', 'SkillListParams'],
]
const ARRAYS = ['statuses', 'types', 'ids']

test.each(LISTS)(
  'W24 each filter of %s that the official SDK declares narrows the list or is refused',
  async (path, file, kind) => {
    const list = path.replace('{session}', ids.session)
    const whole = await server.get<{ data: unknown[] }>(list)
    expect(whole.data.length).toBeGreaterThan(0)
    const ignored: string[] = []
    for (const field of fieldsOf(file, kind)) {
      const name = ARRAYS.includes(field) ? `${field}[]` : field
      const reply = await server.request('GET', `${list}?${encodeURIComponent(name)}=nonsense`)
      if (reply.status === 200 && (reply.body.data as unknown[]).length === whole.data.length) ignored.push(name)
    }
    expect(ignored).toEqual([])
  },
)
