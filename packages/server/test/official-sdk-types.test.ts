import { type DemoModel, startDemoModel, type Step } from '@troupe/demo-model/demo-model'
import { Anthropic, toFile } from 'anthropic-sdk-1.12'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HOSTED_TYPES } from '../src/http/strict.ts'
import { Recorder, undeclared } from './support/declared-types.ts'
import { type McpServer, mcpServer } from './support/mcp-server.ts'
import { CALLS } from './support/sdk-calls.ts'
import { all, counted, say } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

type Beta = Anthropic['beta']
type Sessions = Beta['sessions']

const scripted = (steps: Step[]) => say(`Go\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``)
const call = (name: string, input: Record<string, unknown>) => ({ tools: [{ name, input }] })
const QUESTION = {
  questions: [
    {
      question: 'Which?',
      header: 'Way',
      multiSelect: false,
      options: ['a', 'b'].map((label) => ({ label, description: label })),
    },
  ],
}
const SEEN = scripted([call('Read', { file_path: 'one.txt' }), { say: 'seen' }]).content[0]!.text
/** A client's tool, a question, a command, a file, another server's tool, a subagent: each asked or allowed as it is. */
const WORK: Step[] = [
  { think: 'How to begin?', ...call('mcp__client__get_weather', { place: 'Oslo' }) },
  call('AskUserQuestion', QUESTION),
  call('Bash', { command: 'echo one > one.txt' }),
  call('Bash', { command: 'echo two > two.txt' }),
  call('Read', { file_path: 'one.txt' }),
  call('mcp__calc__add', {}),
  call('Agent', { description: 'look', prompt: SEEN, subagent_type: 'Other' }),
  { say: 'done' },
]
const ENOUGH = { amount: '100000', currency: 'USD' as const }

/** Hosted types of events that this test does not meet. */
const UNMET = ['agent.thread_context_compacted', 'session.thread_status_terminated']

/** Those of the SDK's versions that declare the whole of `/v1`. */
const DECLARED = ['anthropic-sdk-1.12', 'anthropic-sdk-0.137']

describe('what the official SDKs declare', () => {
  let model: DemoModel
  let mcp: McpServer
  let server: TestServer
  let genuine: TestServer
  let recorder: Recorder
  let beta: Beta
  const connect = ({ url }: TestServer) => {
    recorder = new Recorder()
    const options = { ...counted(url).options, fetch: recorder.fetch, defaultQuery: { compat: 'strict' } }
    ;({ beta } = new Anthropic(options))
  }
  /** The answer to one call of a method, which is kept under its name. */
  const as = async <T>(method: string, answer: () => Promise<T>): Promise<T> => {
    recorder.method = method
    return answer().finally(() => (recorder.method = null))
  }

  beforeAll(async () => {
    model = await startDemoModel()
    mcp = await mcpServer()
    server = await testServer()
    genuine = await testServer(
      { agent_executable: undefined, demo_model: 'on' },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await Promise.all([server.stop(), genuine.stop()])
    mcp.close()
    await model.close()
  })

  /** Follows a session until it is done, and gives each call what it waits for. */
  async function attend(sessions: Sessions, id: string): Promise<void> {
    let asked = 0
    recorder.method = 'sessions.events.stream'
    const stream = await sessions.events.stream(id, { event_deltas: ['agent.message'] })
    recorder.method = null
    const calls = new Map<string, { type: string; name?: string }>()
    for await (const event of stream) {
      if ('id' in event) calls.set(event.id, event as { type: string })
      if (event.type !== 'session.status_idle') continue
      const stop = event.stop_reason as { type: string; event_ids?: string[] }
      if (stop.type !== 'requires_action') return
      for (const [custom_tool_use_id] of stop.event_ids!.map((callId) => [callId])) {
        const mine = calls.get(custom_tool_use_id!)?.type === 'agent.custom_tool_use'
        const deny = ++asked % 4 === 0
        await as('sessions.events.send', () =>
          sessions.events.send(id, {
            events: [
              mine
                ? {
                    type: 'user.custom_tool_result',
                    custom_tool_use_id: custom_tool_use_id!,
                    content: [{ type: 'text', text: 'a' }],
                  }
                : {
                    type: 'user.tool_confirmation',
                    tool_use_id: custom_tool_use_id!,
                    ...(deny ? { result: 'deny', deny_message: 'Once is enough.' } : { result: 'allow' }),
                  },
            ],
          }),
        )
      }
    }
  }

  test('W21 each answer is of the type that is declared for it, as the compiler sees it', async () => {
    connect(server)
    const ids: Record<string, string> = {}
    for (const [name, made] of Object.entries(CALLS)) {
      // The runner asks for what others ask for.
      recorder.method = name.endsWith('toolRunner') ? null : name
      await made(beta, ids)
    }
    const answers = recorder.answers()
    expect(new Set(answers.map(({ method }) => method)).size).toBeGreaterThan(40)
    for (const sdk of DECLARED) expect(await undeclared(sdk, answers), sdk).toEqual([])
    const [session] = answers.filter(({ method }) => method === 'sessions.retrieve')
    const wrong = { ...(session!.body as object), usage: null }
    expect(await undeclared(DECLARED[0]!, [{ method: 'sessions.retrieve', body: wrong }])).not.toEqual([])
  })

  test('W22 so is each of the genuine agent, with all that agents, environments and sessions can have', async () => {
    connect(genuine)
    const { agents, environments, sessions, skills, files, deployments } = beta
    const skill = await skills.create({
      files: [await toFile(Buffer.from('---\nname: greet\ndescription: How to greet\n---\nHi.'), 'greet/SKILL.md')],
    })
    const file = await files.upload({ file: await toFile(Buffer.from('a,b'), 'a.csv') })
    const other = await as('agents.create', () =>
      agents.create({ name: 'Other', model: { id: 'haiku', effort: 'low' }, description: 'Helps' }),
    )
    const agent = await as('agents.create', () =>
      agents.create({
        name: 'Whole',
        model: 'sonnet',
        system: 'Be brief.',
        description: 'Has everything',
        metadata: { team: 'docs' },
        mcp_servers: [{ type: 'url', name: 'calc', url: mcp.url }],
        tools: [
          {
            type: 'agent_toolset_20260401',
            default_config: { permission_policy: { type: 'always_ask' } },
            configs: [{ name: 'read', enabled: true, permission_policy: { type: 'always_allow' } }],
          },
          {
            type: 'mcp_toolset',
            mcp_server_name: 'calc',
            default_config: { permission_policy: { type: 'always_allow' } },
          },
          {
            type: 'custom',
            name: 'get_weather',
            description: 'Weather',
            input_schema: { type: 'object', properties: {} },
          },
        ],
        skills: [{ type: 'custom', skill_id: skill.id }],
        multiagent: { type: 'coordinator', agents: [other.id] },
      }),
    )
    for (const networking of [
      { type: 'unrestricted' as const },
      { type: 'limited' as const, allowed_hosts: ['example.com'] },
    ])
      await as('environments.create', () =>
        environments.create({
          name: networking.type,
          description: 'E',
          metadata: { team: 'docs' },
          config: {
            type: 'cloud',
            networking,
            ...(networking.type === 'unrestricted' && { packages: { npm: ['left-pad'], pip: [] } }),
          },
        }),
      )
    await as('environments.list', () => all(environments.list()))
    const session = await as('sessions.create', () =>
      sessions.create({
        agent: agent.id,
        environment_id: 'env_default',
        title: 'All of it',
        metadata: { ticket: '42' },
        budget: { type: 'limit', max_list_cost: ENOUGH },
        resources: [{ type: 'file', file_id: file.id }],
      }),
    )
    const send = (events: Parameters<Sessions['events']['send']>[1]['events']) =>
      as('sessions.events.send', () => sessions.events.send(session.id, { events }))
    await send([scripted(WORK), { type: 'system.message', content: [{ type: 'text', text: 'It is raining.' }] }])
    await attend(sessions, session.id)
    // A model that refuses for a while, one that fails, and a spent budget.
    await send([scripted([{ fail: { status: 529, times: 1 }, say: 'at last' }])])
    await attend(sessions, session.id)
    await send([scripted([{ fail: { status: 400 } }])])
    await attend(sessions, session.id)
    const { data } = await genuine.send(session.id, scripted([{ hang: 'mid', say: 'half of it' }]).content[0]!.text)
    await genuine.event(session.id, ({ type, seq }) => type === 'span.model_request_start' && seq > data[0]!.seq)
    await send([{ type: 'user.interrupt' }])
    await genuine.idle(session.id)
    await as('sessions.update', () => sessions.update(session.id, { title: 'Done', metadata: { ticket: null } }))
    await as('sessions.retrieve', () => sessions.retrieve(session.id))
    await as('sessions.resources.list', () => all(sessions.resources.list(session.id)))
    const threads = await as('sessions.threads.list', () => all(sessions.threads.list(session.id)))
    for (const { id } of threads)
      await as('sessions.threads.events.list', () => all(sessions.threads.events.list(id, { session_id: session.id })))
    const deployment = await as('deployments.create', () =>
      deployments.create({
        name: 'Nightly',
        agent: { type: 'agent', id: agent.id, version: 1 },
        environment_id: 'env_default',
        initial_events: [say('Look around')],
        resources: [{ type: 'file', file_id: file.id }],
        schedule: { type: 'cron', expression: '0 3 * * *', timezone: 'Asia/Tokyo' },
        metadata: { team: 'docs' },
      }),
    )
    await agents.archive(agent.id)
    await as('deployments.run', () => deployments.run(deployment.id))
    await as('deployments.retrieve', () => deployments.retrieve(deployment.id))
    await as('sessions.archive', () => sessions.archive(session.id))
    await as('sessions.events.list', () => all(sessions.events.list(session.id, { limit: 1000 })))
    await as('sessions.list', () => all(sessions.list({ include_archived: true })))

    const answers = recorder.answers()
    for (const sdk of DECLARED) expect(await undeclared(sdk, answers), sdk).toEqual([])
    const met = new Set(
      answers
        .filter(({ method }) => method.endsWith('events.list'))
        .flatMap(({ body }) => (body as { data: { type: string }[] }).data.map(({ type }) => type)),
    )
    expect(HOSTED_TYPES.filter((type) => !met.has(type))).toEqual(UNMET)
  })
})
