import {
  type HookInput,
  type HookJSONOutput,
  type ModelUsage,
  type Options,
  query,
  type SDKControlGetContextUsageResponse,
  type SDKMessage,
  type SDKUserMessage,
} from '@anthropic-ai/claude-agent-sdk'
import { setTimeout as delay } from 'node:timers/promises'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'
import { idToUuid } from '@troupe/protocol/ids'
import type { Verdict } from './approval-gate.ts'
import { earlyAgents } from './early-agents.ts'
import { agentOptions, type ClientToolsEndpoint } from './agent-options.ts'
import { budgetLeft } from '../sessions/budget.ts'
import { confinement, type Hidden } from './confinement.ts'
import type { LentConfig } from './lent-config.ts'
import type { AgentChild, AgentExit } from './spawn-agent.ts'
import { spawnFor, type SpawnSettings } from './spawn-for.ts'
import { type STOP_STEPS, stopProcess } from './stop-process.ts'
import { startedCommand } from './started-command.ts'
import { systemPrompt } from './system-prompt.ts'
import { transcriptStore } from './transcript-store.ts'

/** Days until the agent would delete a transcript by itself: retention is ours, so practically never. */
const CLEANUP_PERIOD_DAYS = 36_500
/** The SDK takes no budget of nothing. */
const MIN_BUDGET_USD = 0.000001

export interface AgentSettings extends SpawnSettings {
  store: Store
  /** Path of the agent binary; null lets the SDK find the one it ships. */
  executable: string | null
  /** What it may not read where its environment confines it. */
  hidden: Hidden
  /** Whether MCP servers may be programs that it starts. */
  allowStdioMcp: boolean
  /** Config dirs of agents that run as another user. */
  lent?: LentConfig | null
  /** Told when a process is gone that was started with this environment. */
  gone?: (env: Record<string, string>) => void
}

/** A live agent with its input open. The one place that calls the Agent SDK. */
export interface AgentProcess {
  /** What it says next. `done` when it can say no more, however that came; never rejects. */
  next(): Promise<IteratorResult<SDKMessage, void>>
  /** The same, left there for the next who asks. */
  peek(): Promise<IteratorResult<SDKMessage, void>>
  /** Resolves when the process is gone. */
  readonly exited: Promise<AgentExit>
  /** Whether it can still be given a turn. */
  alive(): boolean
  /** What the SDK threw when the conversation broke off, if it did. */
  failure(): Error | null
  /** `note`: what it is told besides, as the system; only with a message that begins a turn. */
  send(message: SDKUserMessage, note?: string | null): void
  /** Asks it to end its turn. Never rejects: an agent that does not answer is killed by whoever waits. */
  interrupt(): Promise<void>
  /** Its running totals by model, and whether asking costs a request to the plan it is signed in with. Null: no answer. */
  usage(): Promise<{ models: Record<string, ModelUsage>; plan: boolean } | null>
  /** What fills its context, by its own estimate, which asks nobody. Null: no answer within a second. */
  context(): Promise<SDKControlGetContextUsageResponse | null>
  /** Asks it to stop a subagent or a command of its own. Never rejects: what is over already is no trouble. */
  stopTask(taskId: string): Promise<void>
  /** Ends the process group at once. */
  kill(): void
  /** Ends it in steps, quicker ones behind an interrupt; resolves when it is gone. */
  stop(steps?: typeof STOP_STEPS): Promise<AgentExit>
}

/** Says what becomes of a call. Must not reject. */
export type CallJudge = (toolUseId: string, name: string, input: unknown, agentId: string | null) => Promise<Verdict>

/** How a process begins. */
export interface AgentStart {
  /** On the session's transcript, rather than anew. */
  resume: boolean
  /** The name of the parked call that it makes again first; null where there is none. */
  redrive: string | null
  /** Goes on by itself with what the end of its last process cut off. */
  recover: boolean
  /** Where it finds the tools of its client; null when it has none. */
  clientTools: ClientToolsEndpoint | null
  /** The folder of its skills; null when it has none. */
  skills: string | null
}

/** Milliseconds the end of a turn waits to hear what fills the context. */
const CONTEXT_PATIENCE_MS = 1_000
/** Seconds a call may be judged for: a person may take their time while the process is held. */
const JUDGE_SECONDS = 86_400

/** Starts the agent of a session: anew, or on its transcript where there is one. Never throws. */
export function startAgent(
  settings: AgentSettings,
  session: SessionRow,
  env: Record<string, string>,
  calls: CallJudge,
  start: AgentStart,
): AgentProcess {
  const input = new InputQueue()
  const noProcess: AgentExit = { code: null, signal: null, error: null, stderr: '' }
  const spawned = Promise.withResolvers<AgentExit>()
  let child: AgentChild | null = null
  let failure: Error | null = null
  let note: string | null = null
  /** Handed over once, with the next prompt. */
  const noted = (): HookJSONOutput => {
    const said = note
    note = null
    return said === null ? {} : { hookSpecificOutput: { hookEventName: 'UserPromptSubmit', additionalContext: said } }
  }
  const uuid = idToUuid(session.id)
  const { agent } = session
  const left = budgetLeft(session)
  const told = agentOptions(agent, start.clientTools, settings.allowStdioMcp)
  const confined = confinement(session, env, start.skills, settings.hidden)
  const options: Options = {
    cwd: session.cwd,
    env: { ...(settings.lent?.shown(env, start.resume) ?? env), ...startEnv(start) },
    ...(start.resume ? { resume: uuid } : { sessionId: uuid }),
    ...(agent.model.id !== 'default' && { model: agent.model.id }),
    ...(agent.model.effort && { effort: agent.model.effort.type }),
    systemPrompt: systemPrompt(session),
    // Which calls run is decided by our own table, so nothing is allowed here; what it may not have is not offered.
    disallowedTools: agent.disallowed_tools.filter((rule) => !rule.includes('(')),
    permissionMode: agent.permission_mode,
    ...(agent.permission_mode === 'bypassPermissions' && { allowDangerouslySkipPermissions: true }),
    ...(session.options.maxTurns !== null && { maxTurns: session.options.maxTurns }),
    // Counted from the start of this process, so it is what is left.
    ...(left !== null && { maxBudgetUsd: Math.max(left, MIN_BUDGET_USD) }),
    settingSources: [],
    settings: {
      cleanupPeriodDays: CLEANUP_PERIOD_DAYS,
      // A skill's words could run commands before anybody judged them.
      disableSkillShellExecution: true,
      // A process may make its parked call again before its hooks are there (measured). Then it asks by `canUseTool`,
      // and only what a rule says must be asked is asked for certain: in every permission mode, after hooks too.
      permissions: { ...(start.redrive !== null && { ask: [start.redrive] }), ...confined?.permissions },
    },
    ...confined?.options,
    ...(agent.output_schema && { outputFormat: { type: 'json_schema' as const, schema: agent.output_schema } }),
    ...told,
    ...earlyAgents(told.agents, env.CLAUDE_CONFIG_DIR, start),
    ...(start.skills !== null && { plugins: [{ type: 'local', path: start.skills, skipMcpDiscovery: true }] }),
    includePartialMessages: true,
    // Without it a subagent's tool calls are told, and its words are not.
    forwardSubagentText: true,
    sessionStore: transcriptStore(settings.store, session.id, session.options.rewinds ?? 0),
    sessionStoreFlush: 'eager',
    ...(settings.executable !== null && { pathToClaudeCodeExecutable: settings.executable }),
    // Both ask the same judge, and each call is judged once. Whatever the agent's own rules say, ours come first.
    canUseTool: async (name, given, { toolUseID, agentID }) => {
      const verdict = await calls(toolUseID, name, given, agentID ?? null)
      if (verdict.type === 'allow') return { behavior: 'allow', updatedInput: verdict.input ?? given }
      if (verdict.type === 'defer') return { behavior: 'deny', message: CANNOT_WAIT }
      return { behavior: 'deny', message: verdict.message, ...(verdict.interrupt && { interrupt: true }) }
    },
    hooks: {
      PreToolUse: [{ hooks: [(hookInput) => preToolUse(hookInput, calls)], timeout: JUDGE_SECONDS }],
      // What is added here reaches the model as a message of the system behind the user's (measured on 2.1.330).
      UserPromptSubmit: [{ hooks: [() => Promise.resolve(noted())] }],
    },
    spawnClaudeCodeProcess: (spawnOptions) => {
      const lent = settings.lent?.given(spawnOptions.env, session.id)
      const own = lent ? { ...spawnOptions, env: lent.env } : spawnOptions
      child = spawnFor(settings, session, own, start.skills === null ? [] : [start.skills])
      void child.exited.then(spawned.resolve)
      void child.exited.then(lent?.ended).catch(() => undefined)
      return child.process
    },
  }
  /** Whether it is at work on what it was given: until then that lies in its queue, and would be taken back with the rest. */
  let begun = false
  async function* messages(): AsyncGenerator<SDKMessage, void, void> {
    try {
      for await (const message of conversation) {
        begun ||= message.type === 'assistant' || message.type === 'stream_event' || Boolean(startedCommand(message))
        yield message
      }
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
    } finally {
      // Without a process there is nothing to wait for.
      if (!child) spawned.resolve({ ...noProcess, error: failure })
    }
  }
  void spawned.promise.then(() => settings.gone?.(env))
  const conversation = query({ prompt: input, options })
  const said = messages()
  let ahead: Promise<IteratorResult<SDKMessage, void>> | null = null
  const kill = () => {
    input.end()
    if (child) child.signal('SIGKILL')
    else conversation.close()
  }
  return {
    next: () => {
      const message = ahead ?? said.next()
      ahead = null
      return message
    },
    peek: () => (ahead ??= said.next()),
    exited: spawned.promise,
    alive: () => failure === null && child !== null && child.process.exitCode === null && !child.process.killed,
    failure: () => failure,
    send: (message, told = null) => {
      if (message.priority === 'later') begun = false
      note = told ?? note
      input.push(message)
    },
    interrupt: async () => {
      // What it has been sent and has not taken is given to the next one; the SDK's types do not name the option.
      const interrupt = conversation.interrupt.bind(conversation) as (how: {
        cancelQueued: boolean
      }) => Promise<unknown>
      await interrupt({ cancelQueued: begun }).catch(() => undefined)
    },
    usage: async () => {
      try {
        const told = await conversation.usage_EXPERIMENTAL_MAY_CHANGE_DO_NOT_RELY_ON_THIS_API_YET({
          skipBehaviors: true,
        })
        return told.session?.model_usage
          ? { models: told.session.model_usage, plan: told.rate_limits_available === true }
          : null
      } catch {
        return null
      }
    },
    context: async () => {
      const patience = new AbortController()
      const { signal } = patience
      const said = conversation.getContextUsage({ detail: 'summary' }).catch(() => null)
      const late = delay(CONTEXT_PATIENCE_MS, null, { signal, ref: false }).catch(() => null)
      return Promise.race([said, late]).finally(() => patience.abort())
    },
    stopTask: async (taskId) => {
      await conversation.stopTask(taskId).catch(() => undefined)
    },
    kill,
    stop: async (steps) => {
      if (!child) {
        kill()
        return spawned.promise
      }
      return stopProcess(child, () => input.end(), steps)
    },
  }
}

const CANNOT_WAIT = 'This call needs a person and cannot wait for one here, so it was refused.'

async function preToolUse(input: HookInput, calls: CallJudge): Promise<HookJSONOutput> {
  const decide = (permissionDecision: 'allow' | 'deny' | 'defer', more: object = {}): HookJSONOutput => ({
    hookSpecificOutput: { hookEventName: 'PreToolUse', permissionDecision, ...more },
  })
  if (input.hook_event_name !== 'PreToolUse') return {}
  const { tool_use_id, tool_name, tool_input, agent_id } = input
  const verdict = await calls(tool_use_id, tool_name, tool_input, agent_id ?? null)
  if (verdict.type === 'allow') return decide('allow', verdict.input ? { updatedInput: verdict.input } : {})
  if (verdict.type === 'defer') return decide('defer')
  return decide('deny', { permissionDecisionReason: verdict.message })
}

function startEnv({ redrive, recover }: AgentStart): Record<string, string> {
  return {
    // A call that was parked and then given up must not come again behind the next prompt.
    ...(redrive === null && { CLAUDE_CODE_DISABLE_DEFERRED_TOOL_RESUME: '1' }),
    ...(recover && { CLAUDE_CODE_RESUME_INTERRUPTED_TURN: '1' }),
  }
}

/** The agent's input, held open between turns. */
class InputQueue implements AsyncIterable<SDKUserMessage> {
  readonly #waiting: SDKUserMessage[] = []
  #wake: (() => void) | null = null
  #ended = false

  push(message: SDKUserMessage): void {
    this.#waiting.push(message)
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SDKUserMessage> {
    for (;;) {
      const next = this.#waiting.shift()
      if (next) yield next
      else if (this.#ended) return
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
