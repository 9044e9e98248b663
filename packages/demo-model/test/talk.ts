import { parseMessagesRequest, type MessagesRequest } from '../src/messages-request.ts'
import { callerOf, readConversation, type Conversation } from '../src/conversation.ts'

/** Short ways to write the messages that Claude Code sends. */
export const user = (...texts: string[]) => ({
  role: 'user',
  content: texts.map((text) => ({ type: 'text', text })),
})

export const assistant = (text: string) => ({ role: 'assistant', content: [{ type: 'text', text }] })

export const calls = (...ids: string[]) => ({
  role: 'assistant',
  content: ids.map((id) => ({ type: 'tool_use', id, name: 'Bash', input: {} })),
})

export const results = (...ids: string[]) => ({
  role: 'user',
  content: ids.map((id) => ({ type: 'tool_result', tool_use_id: id, content: `result of ${id}` })),
})

export const system = (content: string) => ({ role: 'system', content })

export const reminder = (text: string) => `<system-reminder>\n${text}\n</system-reminder>\n`

export const notification = user(
  reminder(
    '[SYSTEM NOTIFICATION - NOT USER INPUT]\n\n<task-notification>\n<task-id>a1</task-id>\n</task-notification>',
  ),
)

export const steer = (text: string) =>
  `The user sent a new message while you were working:\n${text}\n\nThis is how Claude Code surfaces messages the user ` +
  'sends mid-turn — within the running turn.'

export const bash = { name: 'Bash', input_schema: { type: 'object' } }

export function requestOf(messages: unknown[], fields: Record<string, unknown> = {}): MessagesRequest {
  return parseMessagesRequest({ model: 'claude-demo', messages, tools: [bash], ...fields })
}

export function read(...messages: unknown[]): Conversation {
  return readConversation(requestOf(messages), callerOf({}, null))
}
