import type { Options } from '@anthropic-ai/claude-agent-sdk'
import type { SessionRow } from '../store/session-row.ts'

/** The same for every session and turn, so that what was cached of a prompt stays good. */
const OUTPUTS_NOTE =
  'What you put into the folder outputs of your working directory is handed to the user when you have finished. /mnt/session/outputs and /mnt/session/uploads mean the folders outputs and uploads there, /workspace the working directory itself.'

/** The system prompt of a session; a sentence more where it asked for outputs. */
export function systemPrompt({ agent, options }: Pick<SessionRow, 'agent' | 'options'>): Options['systemPrompt'] {
  const told = options.outputs === 'on'
  if (agent.system != null) return told ? `${agent.system}\n\n${OUTPUTS_NOTE}` : agent.system
  return { type: 'preset', preset: 'claude_code', ...(told && { append: OUTPUTS_NOTE }) }
}
