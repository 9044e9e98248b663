#!/usr/bin/env node
/**
 * A process that speaks the agent's stream-json and shows what it writes while it writes it. The first word of the
 * prompt is the part; anything else is echoed whole:
 *   write A|B    a message in pieces
 *   draft A|B    the same, but before each further piece it waits for a file in its workdir: `go1`, `go2`, …
 *   ponder A     a thought in two pieces, the second after `go1`, then a message
 */
import { randomUUID } from 'node:crypto'
import { existsSync, watch } from 'node:fs'
import { readLines, write } from './lines.mjs'

const option = (name) => {
  const index = process.argv.findIndex((word) => word === name || word.startsWith(`${name}=`))
  if (index < 0) return undefined
  return process.argv[index].includes('=') ? process.argv[index].split('=')[1] : process.argv[index + 1]
}
const session_id = option('--resume') ?? option('--session-id') ?? randomUUID()
const emit = (message) => write({ ...message, uuid: randomUUID(), session_id })
const usage = { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 }
const stream = (event) => emit({ type: 'stream_event', event, parent_tool_use_id: null })

const assistant = (id, block) =>
  emit({
    type: 'assistant',
    message: { id, type: 'message', role: 'assistant', model: 'fake', content: [block], stop_reason: null, usage },
    parent_tool_use_id: null,
  })

/** Resolves when the file is in the workdir. */
function fileThere(name) {
  return new Promise((resolve) => {
    const watcher = watch('.', look)
    look()
    function look() {
      if (!existsSync(name)) return
      watcher.close()
      resolve()
    }
  })
}

/** One request to the model: blocks as they come, each finished block whole before it is closed, as Claude Code does. */
async function message(blocks, gated) {
  const id = `msg_${randomUUID()}`
  stream({
    type: 'message_start',
    message: { id, type: 'message', role: 'assistant', model: 'fake', content: [], usage },
  })
  for (const [index, { kind, pieces }] of blocks.entries()) {
    const field = kind === 'text' ? 'text' : 'thinking'
    stream({ type: 'content_block_start', index, content_block: { type: kind, [field]: '' } })
    for (const [n, piece] of pieces.entries()) {
      if (gated && n > 0) await fileThere(`go${n}`)
      stream({ type: 'content_block_delta', index, delta: { type: `${field}_delta`, [field]: piece } })
    }
    assistant(id, { type: kind, [field]: pieces.join('') })
    stream({ type: 'content_block_stop', index })
  }
  stream({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage })
  stream({ type: 'message_stop' })
}

const result = (words) =>
  emit({
    type: 'result',
    subtype: 'success',
    is_error: false,
    duration_ms: 1,
    duration_api_ms: 1,
    num_turns: 1,
    result: words,
    stop_reason: 'end_turn',
    terminal_reason: 'completed',
    total_cost_usd: 0,
    usage,
    modelUsage: {},
    permission_denials: [],
  })

async function play(prompt) {
  const [part, ...rest] = prompt.split(' ')
  const known = ['write', 'draft', 'ponder'].includes(part)
  const pieces = known ? rest.join(' ').split('|') : [prompt]
  const thought = part === 'ponder' ? [{ kind: 'thinking', pieces: ['secret ', 'thought'] }] : []
  await message([...thought, { kind: 'text', pieces }], part !== 'write')
  result(pieces.join(''))
}

let greeted = false
readLines(
  (line) => {
    const message = JSON.parse(line)
    if (message.type === 'control_request')
      write({
        type: 'control_response',
        response: {
          subtype: 'success',
          request_id: message.request_id,
          response: {
            commands: [],
            models: [],
            agents: [],
            output_style: '',
            available_output_styles: [],
            account: {},
          },
        },
      })
    if (message.type !== 'user') return
    if (!greeted) {
      greeted = true
      emit({
        type: 'system',
        subtype: 'init',
        cwd: process.cwd(),
        tools: [],
        model: 'fake',
        permissionMode: 'default',
        apiKeySource: 'none',
        mcp_servers: [],
        slash_commands: [],
        output_style: 'default',
        agents: [],
        skills: [],
        plugins: [],
        claude_code_version: '0',
      })
    }
    const { content } = message.message
    void play(typeof content === 'string' ? content : content.map((block) => block.text ?? '').join('\n'))
  },
  () => process.exit(0),
)
