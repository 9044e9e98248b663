import type { SDKMessage } from '@anthropic-ai/claude-agent-sdk'

/** Of a message about a sent message (the SDK's types do not name that kind), the uuid where the agent says it has begun with it, else ''. */
export function startedCommand(message: SDKMessage): string | null {
  const { type, state, command_uuid } = message as { type: string; state?: string; command_uuid?: string }
  if (type !== 'command_lifecycle') return null
  return state === 'started' && command_uuid !== undefined ? command_uuid : ''
}
