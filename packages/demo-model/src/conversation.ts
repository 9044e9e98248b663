import { blocksOf, textOf, type Block, type Message, type MessagesRequest } from './messages-request.ts'
import { withoutReminders, isHarnessText, steersIn } from './harness-text.ts'

export interface ToolResult {
  id: string
  name: string
  /** Without the reminders the harness appends. */
  text: string
  isError: boolean
}

/** What a request says about itself; nothing here is remembered between requests. */
export interface Conversation {
  /** The agent's session, or null for a client that names none. */
  sessionId: string | null
  /** Set when a subagent asks. It shares the session id of its parent. */
  agentId: string | null
  /** The latest thing a person asked, or null when nothing in the request is. */
  prompt: string | null
  /** 1 for the first prompt of the conversation, 0 without any. */
  promptNumber: number
  /** How many responses follow the prompt already: the index of the one wanted now. */
  step: number
  /** Tool results since the prompt, in the order of the calls: they arrive in the order they finish. */
  results: ToolResult[]
  /** Messages the user sent in mid-turn, since the previous response. */
  steers: string[]
  /** The agent's working directory when it tells it. */
  workdir: string | null
  tools: ReadonlyMap<string, Record<string, unknown>>
}

export interface Caller {
  sessionId: string | null
  agentId: string | null
}

/**
 * Reads the conversation in a request. A response that was split over neighbouring assistant messages counts once,
 * and the agent's own filler after an interrupted turn not at all.
 */
export function readConversation(request: MessagesRequest, caller: Caller): Conversation {
  const conversation: Conversation = {
    ...caller,
    prompt: null,
    promptNumber: 0,
    step: 0,
    results: [],
    steers: [],
    workdir: workdirOf(request),
    tools: new Map(request.tools.map((tool) => [tool.name, tool.input_schema])),
  }
  /** Names of the tools called, by id, in order. */
  const calls = new Map<string, string>()
  let previous: Message['role'] | null = null
  for (const message of request.messages) {
    if (message.role === 'assistant') {
      for (const block of message.content) if (block.type === 'tool_use') calls.set(`${block.id}`, `${block.name}`)
      if (previous !== 'assistant' && !isFiller(message)) conversation.step += 1
      conversation.steers = []
    } else for (const block of message.content) readBlock(conversation, block, message, calls)
    previous = message.role
  }
  const order = [...calls.keys()]
  conversation.results.sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id))
  return conversation
}

function readBlock(
  conversation: Conversation,
  block: Block,
  message: Message,
  calls: ReadonlyMap<string, string>,
): void {
  if (block.type === 'tool_result') {
    const text = textOf(blocksOf(block.content))
    const id = `${block.tool_use_id}`
    const result = { id, name: calls.get(id) ?? '', text: withoutReminders(text), isError: block.is_error === true }
    conversation.results.push(result)
    readSteers(conversation, text)
  } else if (message.role === 'system') readSteers(conversation, `${block.text ?? ''}`)
  else readUserBlock(conversation, block, message)
}

function readUserBlock(conversation: Conversation, block: Block, message: Message): void {
  const text = block.type === 'text' ? `${block.text}` : null
  if (text === null) {
    // A picture alone is a prompt without words; a picture beside a tool result came from the tool.
    if (!message.content.some((other) => other.type === 'tool_result' || hasWords(other))) startPrompt(conversation, '')
    return
  }
  readSteers(conversation, text)
  const said = withoutReminders(text).trim()
  if (!isHarnessText(said)) startPrompt(conversation, said)
}

function isFiller(message: Message): boolean {
  return message.content.every((block) => block.type === 'text') && isHarnessText(textOf(message.content))
}

function hasWords(block: Block): boolean {
  return block.type === 'text' && !isHarnessText(withoutReminders(`${block.text}`).trim())
}

/** A message sent in mid-turn joins the turn that runs; only one that carries a script of its own starts anew. */
function readSteers(conversation: Conversation, text: string): void {
  for (const steer of steersIn(text)) {
    if (steer.includes('```script')) startPrompt(conversation, steer)
    else conversation.steers.push(steer)
  }
}

function startPrompt(conversation: Conversation, prompt: string): void {
  conversation.prompt = prompt
  conversation.promptNumber += 1
  conversation.step = 0
  conversation.results = []
  conversation.steers = []
}

function workdirOf(request: MessagesRequest): string | null {
  const texts = [request.systemText, ...request.messages.slice(0, 3).map((message) => textOf(message.content))]
  return /Primary working directory: (.+)/.exec(texts.join('\n'))?.[1]?.trim() ?? null
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

/**
 * Who asks. Claude Code sends `x-claude-code-session-id`, and `x-claude-code-agent-id` for a subagent; the session id
 * is also in `metadata.user_id`, as JSON, or in older releases as `…_session_<uuid>`.
 */
export function callerOf(headers: Headers, metadataUserId: string | null): Caller {
  const header = (name: string) => headers[name]?.toString() || null
  return {
    sessionId: header('x-claude-code-session-id') ?? sessionInMetadata(metadataUserId ?? ''),
    agentId: header('x-claude-code-agent-id'),
  }
}

function sessionInMetadata(userId: string): string | null {
  const uuid = /(?:"session_id":"|_session_)([0-9a-f-]{36})/.exec(userId)
  return uuid?.[1] ?? null
}
