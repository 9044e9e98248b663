import type { PermissionMode, PermissionRule, SessionAgent } from '@troupe/protocol/agent'
import { TOOLSET_TOOLS, type ToolsetTool } from '@troupe/protocol/agent'
import type { ApprovalKind } from '@troupe/protocol/approval'
import { isMcpToolOff, mcpRules } from '../agents/mcp-servers.ts'
import { isSubagentOff } from '../agents/subagents.ts'
import { refusedDomain } from '../agents/web-fetch.ts'
import { closeness, isInside, onlyLooks, pathOf, ruleMatches } from '../agents/permission-rules.ts'
import { refusedFetch } from './confinement.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { GrantRow } from '../store/approvals.ts'

/** The MCP server under which a client's own tools stand before the agent. */
export const CLIENT_TOOLS = 'client'
const CLIENT_PREFIX = `mcp__${CLIENT_TOOLS}__`

export const isClientTool = (name: string): boolean => name.startsWith(CLIENT_PREFIX)
/** The name that people and clients know a tool by. */
export const shownName = (name: string): string => (isClientTool(name) ? name.slice(CLIENT_PREFIX.length) : name)
/** The name that the agent knows the tool of an approval by. */
export const callName = ({ kind, toolName }: { kind: ApprovalKind; toolName: string }): string =>
  kind === 'custom_tool_result' ? CLIENT_PREFIX + toolName : toolName

export interface Evaluation {
  permission: 'allow' | 'ask' | 'deny'
  kind: ApprovalKind
  /** Why, in words for the person who is asked or the model that is refused. */
  reason: string
}

interface Entry extends PermissionRule {
  /** Of two equally close rules the higher one counts: the agent's, the session's, what a person granted. */
  rank: 0 | 1 | 2
}

/** Look, and change nothing. */
const READING = new Set(['Read', 'Glob', 'Grep', 'LS', 'NotebookRead'])
/** Touch nothing but the agent's own notes, or start what is itself judged call by call. */
const HARMLESS = new Set([
  'Agent',
  'Task',
  'TodoWrite',
  'TodoRead',
  'TaskCreate',
  'TaskGet',
  'TaskList',
  'TaskUpdate',
  'TaskOutput',
  'TaskStop',
  'BashOutput',
  'KillShell',
  'ToolSearch',
  'Skill',
  'EnterPlanMode',
])
/** The tool through which an agent with an output schema answers. */
const ANSWER = 'StructuredOutput'
const EDITING = new Set(['Edit', 'MultiEdit', 'Write', 'NotebookEdit'])

/** Whether a call that was cut off can be made again without harm. */
export const onlyReads = (name: string): boolean => READING.has(name) || name === ANSWER

/**
 * The policy table of one session: what its agent, the session and people's answers say about a call. `deny` always
 * wins; of the rest the closest rule; where none speaks, reading in the workdir is allowed and everything else is asked.
 */
export class PermissionTable {
  readonly #entries: Entry[]
  readonly #mode: PermissionMode
  readonly #cwd: string
  readonly #agent: SessionAgent
  readonly #nobody: string | null
  readonly #options: SessionRow['options']

  constructor(session: SessionRow, grants: readonly GrantRow[]) {
    const { agent, options } = session
    this.#mode = agent.permission_mode
    this.#cwd = session.cwd
    this.#agent = agent
    this.#options = options
    this.#entries = [
      ...entriesOf(agent),
      ...(options.rules ?? []).map((rule) => ({ ...rule, rank: 1 as const })),
      ...grants.map(({ rule }) => ({ rule, policy: 'always_allow' as const, rank: 2 as const })),
    ]
    this.#nobody =
      agent.permission_mode === 'dontAsk'
        ? 'Nobody is asked in this session.'
        : options.approvals?.timeoutSeconds === 0
          ? 'Nobody can be asked in this session.'
          : null
  }

  /** Never throws: what cannot be judged is refused. */
  evaluate(name: string, input: unknown): Evaluation {
    try {
      return this.#unasked(this.#judge(name, input))
    } catch (error) {
      const reason = `The policy could not be applied: ${error instanceof Error ? error.message : String(error)}`
      return { permission: 'deny', kind: 'tool_confirmation', reason }
    }
  }

  #judge(name: string, input: unknown): Evaluation {
    if (isMcpToolOff(this.#agent.tools, name))
      return { permission: 'deny', kind: 'tool_confirmation', reason: `${name} is off in the agent's toolset.` }
    // It is offered only where a schema was asked for, and is the answer itself.
    if (name === ANSWER) return { permission: 'allow', kind: 'tool_confirmation', reason: 'It is the answer.' }
    const afar = refusedFetch(this.#options, name, input) ?? refusedDomain(this.#agent.tools, name, input)
    if (afar !== null) return { permission: 'deny', kind: 'tool_confirmation', reason: afar }
    if (isSubagentOff(this.#agent, name, input))
      return { permission: 'deny', kind: 'tool_confirmation', reason: 'Only agents of its roster may be started.' }
    const kind: ApprovalKind =
      name === 'AskUserQuestion' ? 'question' : isClientTool(name) ? 'custom_tool_result' : 'tool_confirmation'
    const call = { name, input, cwd: this.#cwd }
    const found = this.#entries.filter(({ rule, policy }) => ruleMatches(rule, call, policy === 'always_allow'))
    const refusing = found.find(({ policy }) => policy === 'deny')
    if (refusing) return { permission: 'deny', kind, reason: `${name} is refused by the rule ${refusing.rule}.` }
    if (kind === 'question') return { permission: 'ask', kind, reason: 'The agent asks a question.' }
    if (kind === 'custom_tool_result') return { permission: 'ask', kind, reason: 'The client runs this tool.' }
    const closest = found.toSorted((a, b) => closeness(b.rule) - closeness(a.rule) || b.rank - a.rank)[0]
    if (closest?.policy === 'always_allow') return { permission: 'allow', kind, reason: `Allowed by ${closest.rule}.` }
    if (closest?.policy === 'always_ask') return { permission: 'ask', kind, reason: `The rule ${closest.rule} asks.` }
    return { ...this.#byDefault(name, input), kind }
  }

  #byDefault(name: string, input: unknown): Omit<Evaluation, 'kind'> {
    if (this.#mode === 'bypassPermissions') return { permission: 'allow', reason: 'Permissions are bypassed.' }
    if (HARMLESS.has(name)) return { permission: 'allow', reason: 'It changes nothing by itself.' }
    const path = typeof input === 'object' && input !== null ? pathOf(input as Record<string, unknown>) : null
    const inside = path === null || isInside(path, this.#cwd)
    const { command } = (input ?? {}) as { command?: unknown }
    if (name === 'Bash' && typeof command === 'string' && onlyLooks(command, this.#cwd))
      return { permission: 'allow', reason: 'It only looks, in the workdir.' }
    if (READING.has(name))
      return inside
        ? { permission: 'allow', reason: 'It only reads, in the workdir.' }
        : { permission: 'ask', reason: `${name} would read ${path}, which is outside the workdir.` }
    if (EDITING.has(name) && this.#mode === 'acceptEdits' && inside && path !== null)
      return { permission: 'allow', reason: 'Edits in the workdir are accepted.' }
    return { permission: 'ask', reason: `${name} may change, run or send something, and no rule allows it.` }
  }

  #unasked(evaluation: Evaluation): Evaluation {
    if (evaluation.permission !== 'ask' || this.#nobody === null || evaluation.kind === 'custom_tool_result')
      return evaluation
    const advice =
      evaluation.kind === 'question'
        ? 'Nobody can answer questions in this session. Decide yourself, or say in your reply what you need to know.'
        : `It is not allowed in this session. ${this.#nobody} Do without it, or say in your reply what you need it for.`
    return { ...evaluation, permission: 'deny', reason: advice }
  }
}

function entriesOf(agent: SessionAgent): Entry[] {
  const entries: Entry[] = []
  const add = (rule: string, policy: PermissionRule['policy']) => entries.push({ rule, policy, rank: 0 })
  for (const rule of agent.disallowed_tools) add(rule, 'deny')
  for (const rule of agent.allowed_tools) add(rule, 'always_allow')
  for (const tool of agent.tools) {
    const configs = (tool.configs ?? []) as {
      name: ToolsetTool
      permission_policy?: { type: PermissionRule['policy'] }
    }[]
    for (const { name, permission_policy } of configs)
      if (permission_policy && permission_policy.type !== 'auto' && name in TOOLSET_TOOLS)
        add(TOOLSET_TOOLS[name], permission_policy.type)
  }
  for (const { rule, policy } of [...mcpRules(agent.tools), ...(agent.permission_rules ?? [])]) add(rule, policy)
  return entries
}
