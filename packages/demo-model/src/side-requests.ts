import { textOf, type MessagesRequest } from './messages-request.ts'
import { sampleOf } from './sample.ts'
import type { Step } from './step.ts'

interface SideRequest {
  match: RegExp
  say: string
}

/** What Claude Code asks beside the conversation, told by how its last message begins. */
const SIDE_REQUESTS: readonly SideRequest[] = [
  {
    match: /^CRITICAL: Respond with TEXT ONLY/,
    say:
      '<analysis>A demo model has nothing to analyse.</analysis>\n' +
      "<summary>The conversation so far was played by Troupe's demo model, a script. Nothing is pending.</summary>",
  },
  { match: /^\[SUGGESTION MODE:/, say: 'look around' },
  { match: /^Describe (?:your|the agent's) most recent action/, say: 'Playing a scene' },
]

/** The answer to a request that is no turn of a conversation (a title, a summary, …), or null when it is one. */
export function answerAside(request: MessagesRequest): Step | null {
  const last = textOf(request.messages.findLast((message) => message.role === 'user')?.content ?? [])
  if (request.outputSchema && request.tools.length === 0) {
    const session = /<session>\s*([\s\S]*?)\s*<\/session>/.exec(last)?.[1] ?? last
    return { say: JSON.stringify(sampleOf(request.outputSchema, session)) }
  }
  const aside = SIDE_REQUESTS.find((candidate) => candidate.match.test(last))
  return aside ? { say: aside.say } : null
}
