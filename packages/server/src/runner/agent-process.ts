import {
  type ModelUsage,
  type Options,
  query,
  type SDKMessage,
  type SDKUserMessage,
} from '@anthropic-ai/claude-agent-sdk'
import type { SessionRow, Store } from '../store/store.ts'
import { idToUuid } from '@troupe/protocol/ids'
import { budgetLeft } from '../sessions/budget.ts'
import type { Containment } from './containment.ts'
import type { PidFiles } from './pid-files.ts'
import { type AgentChild, type AgentExit, spawnAgent } from './spawn-agent.ts'
import { stopProcess } from './stop-process.ts'
import { transcriptStore } from './transcript-store.ts'

/** Days until the agent would delete a transcript by itself: retention is ours, so practically never. */
const CLEANUP_PERIOD_DAYS = 36_500
/** The SDK takes no budget of nothing. */
const MIN_BUDGET_USD = 0.000001

export interface AgentSettings {
  store: Store
  containment: Containment
  pidFiles: PidFiles
  /** Path of the agent binary; null lets the SDK find the one it ships. */
  executable: string | null
}

/** A live agent with its input open. The one place that calls the Agent SDK. */
export interface AgentProcess {
  /** What it says, in order. Ends when it can say no more, however that came; never throws. */
  readonly messages: AsyncGenerator<SDKMessage, void, void>
  /** Resolves when the process is gone. */
  readonly exited: Promise<AgentExit>
  /** Whether it can still be given a turn. */
  alive(): boolean
  /** What the SDK threw when the conversation broke off, if it did. */
  failure(): Error | null
  send(message: SDKUserMessage): void
  /** Asks it to end its turn. Never rejects: an agent that does not answer is killed by whoever waits. */
  interrupt(): Promise<void>
  /** Its running totals by model, and whether asking costs a request to the plan it is signed in with. Null: no answer. */
  usage(): Promise<{ models: Record<string, ModelUsage>; plan: boolean } | null>
  /** Ends the process group at once. */
  kill(): void
  /** Ends it in steps; resolves when it is gone. */
  stop(): Promise<AgentExit>
}

/** Starts the agent of a session: anew, or on its transcript where there is one. Never throws. */
export function startAgent(
  settings: AgentSettings,
  session: SessionRow,
  env: Record<string, string>,
  resume: boolean,
  onDenied: (toolUseId: string, tool: string, reason: string) => void,
): AgentProcess {
  const input = new InputQueue()
  const noProcess: AgentExit = { code: null, signal: null, error: null, stderr: '' }
  const spawned = Promise.withResolvers<AgentExit>()
  let child: AgentChild | null = null
  let failure: Error | null = null
  const uuid = idToUuid(session.id)
  const { agent } = session
  const left = budgetLeft(session)
  const options: Options = {
    cwd: session.cwd,
    env,
    ...(resume ? { resume: uuid } : { sessionId: uuid }),
    ...(agent.model.id !== 'default' && { model: agent.model.id }),
    ...(agent.model.effort && { effort: agent.model.effort.type }),
    systemPrompt: agent.system ?? { type: 'preset', preset: 'claude_code' },
    allowedTools: agent.allowed_tools,
    disallowedTools: agent.disallowed_tools,
    permissionMode: agent.permission_mode,
    ...(agent.permission_mode === 'bypassPermissions' && { allowDangerouslySkipPermissions: true }),
    ...(session.options.maxTurns !== null && { maxTurns: session.options.maxTurns }),
    // Counted from the start of this process, so it is what is left.
    ...(left !== null && { maxBudgetUsd: Math.max(left, MIN_BUDGET_USD) }),
    settingSources: [],
    settings: { cleanupPeriodDays: CLEANUP_PERIOD_DAYS },
    includePartialMessages: true,
    sessionStore: transcriptStore(settings.store, session.id),
    sessionStoreFlush: 'eager',
    ...(settings.executable !== null && { pathToClaudeCodeExecutable: settings.executable }),
    // Nobody can be asked yet: what policy does not allow is refused, and so are questions.
    canUseTool: async (name, _input, { toolUseID }) => {
      onDenied(toolUseID, name, refusal(name))
      return { behavior: 'deny', message: refusal(name) }
    },
    hooks: {
      PreToolUse: [
        {
          matcher: 'AskUserQuestion',
          hooks: [
            async (_input, toolUseId) => {
              // Where permissions are bypassed nothing else would stop it.
              const reason = refusal('AskUserQuestion')
              if (toolUseId !== undefined) onDenied(toolUseId, 'AskUserQuestion', reason)
              return {
                hookSpecificOutput: {
                  hookEventName: 'PreToolUse',
                  permissionDecision: 'deny',
                  permissionDecisionReason: reason,
                },
              }
            },
          ],
        },
      ],
    },
    spawnClaudeCodeProcess: (spawnOptions) => {
      child = spawnAgent(spawnOptions, session.id, settings.containment, settings.pidFiles)
      void child.exited.then(spawned.resolve)
      return child.process
    },
  }
  async function* messages(): AsyncGenerator<SDKMessage, void, void> {
    try {
      yield* conversation
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
    } finally {
      // Without a process there is nothing to wait for.
      if (!child) spawned.resolve({ ...noProcess, error: failure })
    }
  }
  const conversation = query({ prompt: input, options })
  const kill = () => {
    input.end()
    if (child) child.signal('SIGKILL')
    else conversation.close()
  }
  return {
    messages: messages(),
    exited: spawned.promise,
    alive: () => failure === null && child !== null && child.process.exitCode === null && !child.process.killed,
    failure: () => failure,
    send: (message) => input.push(message),
    interrupt: async () => {
      await conversation.interrupt().catch(() => undefined)
    },
    usage: async () => {
      try {
        const said = await conversation.usage_EXPERIMENTAL_MAY_CHANGE_DO_NOT_RELY_ON_THIS_API_YET({
          skipBehaviors: true,
        })
        return said.session?.model_usage
          ? { models: said.session.model_usage, plan: said.rate_limits_available === true }
          : null
      } catch {
        return null
      }
    },
    kill,
    stop: async () => {
      if (!child) {
        kill()
        return spawned.promise
      }
      return stopProcess(child, () => input.end())
    },
  }
}

function refusal(tool: string): string {
  return tool === 'AskUserQuestion'
    ? 'Nobody can answer questions in this session. Decide yourself, or say in your reply what you need to know.'
    : `${tool} is not allowed in this session. Do without it, or say in your reply what you need it for.`
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
