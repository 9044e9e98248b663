import type { ToolsetTool } from '@troupe/protocol/agent'
import type { Agent } from '@troupe/protocol/saved-agent'
import { type AgentParts, NO_PARTS, partsBody, partsOf } from './agent-parts.ts'
import { lacksAgents, NO_ROSTER, rosterBody, type RosterDraft, rosterOf } from './agent-roster.ts'
import { type ClientToolDraft, clientToolsBody, clientToolsFit, clientToolsOf } from './client-tools.ts'
import { namesIn } from './draft.ts'
import { FETCH_ANYWHERE, fetchBody, type FetchDraft, fetchOf, lacksDomains } from './fetch-domains.ts'

/** The tools that the form asks about, in its order. */
export const TOOLS = [
  'read',
  'glob',
  'grep',
  'edit',
  'write',
  'bash',
  'web_fetch',
  'web_search',
] as const satisfies readonly ToolsetTool[]
export const POLICIES = ['auto', 'always_allow', 'always_ask', 'deny'] as const
export type PolicyName = (typeof POLICIES)[number]
export const EFFORTS = ['low', 'medium', 'high', 'xhigh', 'max'] as const

export interface ServerDraft {
  name: string
  url: string
  policy: PolicyName
}

/** What the form of an agent holds, as it was typed. */
export interface AgentDraft extends AgentParts {
  name: string
  description: string
  model: string
  mode: string
  effort: string
  system: string
  /** `none`: the agent does not have it. */
  tools: Record<ToolsetTool, PolicyName | 'none'>
  fetch: FetchDraft
  clientTools: ClientToolDraft[]
  roster: RosterDraft
  allowed: string
  disallowed: string
  servers: ServerDraft[]
  schema: string
}

/** A definition as it is sent: fields of the API, and what the form knows nothing of kept as it was. */
export type AgentBody = Record<string, unknown>
interface Tool {
  type: string
  [field: string]: unknown
}
interface Config {
  name?: string
  enabled?: boolean
  permission_policy?: { type: PolicyName }
  [field: string]: unknown
}
const TOOLSET = 'agent_toolset_20260401'
const policyOf = (config: unknown): PolicyName | undefined => (config as Config | undefined)?.permission_policy?.type
const everyTool = (policy: PolicyName | 'none') =>
  Object.fromEntries(TOOLS.map((name) => [name, policy])) as AgentDraft['tools']

export const EMPTY_AGENT: AgentDraft = {
  name: '',
  description: '',
  model: '',
  mode: 'default',
  effort: '',
  system: '',
  tools: everyTool('auto'),
  fetch: FETCH_ANYWHERE,
  clientTools: [],
  roster: NO_ROSTER,
  allowed: '',
  disallowed: '',
  servers: [],
  schema: '',
  ...NO_PARTS,
}

export function draftOfAgent(agent: Agent): AgentDraft {
  const tools = everyTool('auto')
  for (const config of configsOf(agent))
    tools[config.name as ToolsetTool] = config.enabled === false ? 'none' : (policyOf(config) ?? 'auto')
  return {
    name: agent.name,
    description: agent.description ?? '',
    model: agent.model.id,
    mode: agent.permission_mode,
    effort: agent.model.effort?.type ?? '',
    system: agent.system ?? '',
    tools,
    fetch: fetchOf(configsOf(agent).find(({ name }) => name === 'web_fetch') ?? {}),
    clientTools: clientToolsOf(agent),
    roster: rosterOf(agent),
    allowed: agent.allowed_tools.join(', '),
    disallowed: agent.disallowed_tools.join(', '),
    servers: agent.mcp_servers
      .filter(({ type }) => type === 'url')
      .map(({ name, url }) => ({
        name,
        url: String(url),
        policy: policyOf(mcpToolset(agent, name)?.default_config) ?? 'always_ask',
      })),
    schema: agent.output_schema ? JSON.stringify(agent.output_schema, null, 2) : '',
    ...partsOf(agent),
  }
}

const configsOf = (agent: Agent | null): Config[] =>
  ((agent?.tools.find(({ type }) => type === TOOLSET) as Tool | undefined)?.configs as Config[] | undefined) ?? []

const mcpToolset = (agent: Agent | null, name: string): Tool | undefined =>
  agent?.tools.find((tool) => tool.type === 'mcp_toolset' && tool.mcp_server_name === name)

/** Why the text is no output schema; null where it is one, or empty. */
export function schemaProblem(text: string): 'syntax' | 'object' | null {
  if (text.trim() === '') return null
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? null : 'object'
  } catch {
    return 'syntax'
  }
}

/** Everything that the form says. `base`: the agent that is changed; of it the parts stay that the form does not show. */
function wholeBody(draft: AgentDraft, base: Agent | null): AgentBody {
  const servers = draft.servers.filter(({ name, url }) => name.trim() !== '' && url.trim() !== '')
  const shown = new Set(base?.mcp_servers.filter(({ type }) => type === 'url').map(({ name }) => name))
  const kept = (base?.tools ?? []).filter(
    (tool) =>
      tool.type !== TOOLSET &&
      tool.type !== 'custom' &&
      !(tool.type === 'mcp_toolset' && shown.has(String(tool.mcp_server_name))),
  )
  const toolset = base?.tools.find(({ type }) => type === TOOLSET)
  const asked =
    toolset !== undefined || draft.fetch.bound !== 'any' || TOOLS.some((name) => draft.tools[name] !== 'auto')
  return {
    name: draft.name.trim(),
    description: draft.description.trim() || null,
    ...(draft.model.trim() && { model: draft.model.trim() }),
    system: draft.system.trim() === '' ? null : draft.system,
    permission_mode: draft.mode,
    effort: draft.effort || null,
    tools: [
      ...(asked ? [{ ...toolset, type: TOOLSET, configs: TOOLS.map((name) => configOf(name, draft, base)) }] : []),
      ...kept,
      ...clientToolsBody(draft.clientTools),
      ...servers.map(({ name, policy }) => ({
        ...mcpToolset(base, name.trim()),
        type: 'mcp_toolset',
        mcp_server_name: name.trim(),
        default_config: {
          ...(mcpToolset(base, name.trim())?.default_config as object | undefined),
          permission_policy: { type: policy },
        },
      })),
    ],
    allowed_tools: namesIn(draft.allowed),
    disallowed_tools: namesIn(draft.disallowed),
    mcp_servers: [
      ...(base?.mcp_servers.filter(({ type }) => type !== 'url') ?? []),
      ...servers.map(({ name, url }) => ({ type: 'url', name: name.trim(), url: url.trim() })),
    ],
    ...partsBody(draft),
    multiagent: rosterBody(draft.roster, base),
    output_schema: schemaProblem(draft.schema) === null && draft.schema.trim() ? JSON.parse(draft.schema) : null,
  }
}

/** A tool as the form has it, with what of it the form does not show. */
function configOf(name: ToolsetTool, { tools, fetch }: AgentDraft, base: Agent | null): Config {
  const { allowed_domains: _, blocked_domains: __, ...kept } = configsOf(base).find((each) => each.name === name) ?? {}
  const choice = tools[name]
  return {
    ...kept,
    name,
    enabled: choice !== 'none',
    ...(choice !== 'none' && { permission_policy: { type: choice } }),
    ...(name === 'web_fetch' && fetchBody(fetch)),
  }
}

/** Whether a draft can be sent: what is being written may not be JSON yet, or say less than it seems to. */
export const isWhole = ({ schema, clientTools, roster, fetch }: AgentDraft): boolean =>
  schemaProblem(schema) === null && clientToolsFit(clientTools) && !lacksAgents(roster) && !lacksDomains(fetch)

const isEmpty = (value: unknown) => value === null || (Array.isArray(value) && value.length === 0)

/** What creates an agent: what was left empty is left out. With `base`, what of it the form has changed, and no more. */
export function agentBody(draft: AgentDraft, base: Agent | null): AgentBody {
  const body = Object.entries(wholeBody(draft, base))
  if (!base) return Object.fromEntries(body.filter(([, value]) => !isEmpty(value)))
  const before = wholeBody(draftOfAgent(base), base)
  return Object.fromEntries(body.filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])))
}

/** The agent of a session that tries a draft, without saving it. */
export function agentToTry(draft: AgentDraft, base: Agent | null): AgentBody {
  const { name, ...fields } = agentBody(draft, base)
  if (!base) return { type: 'inline', ...(name !== '' && { name }), ...fields }
  const reference = { id: base.id, version: base.version }
  return Object.keys(fields).length === 0
    ? { type: 'agent', ...reference }
    : { type: 'agent_with_overrides', ...reference, ...fields }
}
