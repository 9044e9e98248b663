import type { Conversation } from './conversation.ts'
import { isJapanese } from './language.ts'
import { scenarioFor } from './scenarios.ts'
import { parseSteps, StepError, type Step } from './step.ts'

const FENCE = /```script[^\n]*\n([\s\S]*?)\n[ \t]*```[ \t\r]*(?:\n|$)/

/**
 * The step that answers this request: of the session's own script, else of the script fenced in the prompt, else of
 * the scenario its words ask for. A subagent shares its parent's session id, so only its own prompt speaks for it.
 */
export function chooseStep(conversation: Conversation, sessionScript: readonly Step[] | undefined): Step {
  const own = conversation.agentId === null ? sessionScript : undefined
  const steps = own ?? fencedScript(conversation.prompt ?? '') ?? scenarioFor(conversation)
  return steps[conversation.step] ?? { say: ending(conversation) }
}

/** Null without a fence. A fence that cannot be used becomes an answer that says why. */
function fencedScript(prompt: string): Step[] | null {
  const source = FENCE.exec(prompt)?.[1]
  if (source === undefined) return null
  try {
    return parseSteps(JSON.parse(source))
  } catch (error) {
    if (!(error instanceof StepError) && !(error instanceof SyntaxError)) throw error
    return [{ say: `The script in your message cannot be played: ${error.message}.` }]
  }
}

function ending(conversation: Conversation): string {
  return isJapanese(conversation.prompt ?? '') ? '台本はここまでです。' : 'That is the end of my script.'
}
