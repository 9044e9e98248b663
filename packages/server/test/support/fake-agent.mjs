#!/usr/bin/env node
/**
 * A process that speaks the agent's stream-json and plays one fault. The Agent SDK itself drives it, so nothing is
 * mocked. The first word of the prompt is the part:
 *   say TEXT    answer TEXT              flood N    N messages, then a result
 *   env NAME    answer what that variable of its environment is
 *   naps MS     answer after that time
 *   babbles     answer, and begin to speak again a moment later, unasked
 *   crash       exit 7 in mid-turn
 *   silent      never answer             hold       one message, then wait for an interrupt
 *   stubborn    like hold, but neither an interrupt, nor the end of its input, nor TERM ends it
 *   finishes    like hold, but its turn is done before the interrupt arrives, and then it exits
 *   leaves TEXT answer TEXT and exit
 *   retry       two api_retry, then an answer      orphan     start a process that outlives it, then hold
 *   exhausted   one api_retry, then a failed model request
 *   refused STATUS MS   one api_retry with this status and delay, then hold
 *   spend N     a request for N dollars every few ms, until it is interrupted or has spent its budget
 *   subagent M  start a subagent that works; M: done ends it and the turn, hold waits, crash exits, known takes up the same each time
 *   behind M    answer while a subagent works in the background; M: hold leaves it there, crash exits, quiet ends it and says no more, follow ends it and begins to answer
 *   cost N      a result whose running total is N dollars     error TYPE  a failed model request
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readLines, write } from './lines.mjs'

const arg = (name) => {
  const index = process.argv.findIndex((word) => word === name || word.startsWith(`${name}=`))
  if (index < 0) return undefined
  return process.argv[index].includes('=') ? process.argv[index].split('=')[1] : process.argv[index + 1]
}
const session_id = arg('--resume') ?? arg('--session-id') ?? randomUUID()
const emit = (message) => write({ ...message, uuid: randomUUID(), session_id })
const usage = { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 }
let total = Number(process.env.FAKE_TOTAL ?? 0)
let stubborn = false
const state = (word) => emit({ type: 'system', subtype: 'session_state_changed', state: word })
let holding = false

const assistant = (content, more = {}) =>
  emit({
    type: 'assistant',
    message: {
      id: `msg_${randomUUID()}`,
      type: 'message',
      role: 'assistant',
      model: 'fake',
      content,
      stop_reason: null,
      usage,
    },
    parent_tool_use_id: null,
    ...more,
  })
const text = (words) => assistant([{ type: 'text', text: words }])
const modelUsage = () => ({
  fake: {
    inputTokens: Math.round(total * 1000),
    outputTokens: 5,
    cacheReadInputTokens: 0,
    cacheCreationInputTokens: 0,
    webSearchRequests: 0,
    costUSD: total,
    contextWindow: 1,
    maxOutputTokens: 1,
  },
})
const result = (words, more = {}) => {
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
    total_cost_usd: total,
    usage,
    modelUsage: modelUsage(),
    permission_denials: [],
    ...more,
  })
}

const play = {
  say: (words) => {
    text(words)
    result(words)
  },
  naps: (ms) => {
    setTimeout(() => play.say('awake'), Number(ms))
  },
  babbles: () => {
    play.say('done')
    setTimeout(() => text('one more thing'), 300)
  },
  flood: (count) => {
    for (let n = 1; n <= Number(count); n++) text(`message ${n}`)
    result('flooded')
  },
  crash: () => {
    text('about to crash')
    process.stderr.write('something dreadful\n')
    process.stdout.write('', () => process.exit(7))
  },
  silent: () => {},
  hold: () => {
    text('holding')
    holding = true
  },
  finishes: () => {
    text('holding')
    holding = 'finishes'
  },
  leaves: (words) => {
    play.say(words)
    process.stdout.write('', () => process.exit(0))
  },
  stubborn: () => {
    stubborn = true
    process.on('SIGTERM', () => {})
    setInterval(() => {}, 1_000_000)
    text('holding')
  },
  orphan: () => {
    const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' })
    text(`orphan ${child.pid}`)
    holding = true
  },
  retry: () => {
    for (const attempt of [1, 2])
      emit({
        type: 'system',
        subtype: 'api_retry',
        attempt,
        max_retries: 5,
        retry_delay_ms: 1,
        error_status: 529,
        error: 'overloaded',
      })
    play.say('made it')
  },
  refused: (words) => {
    const [status, delay] = words.split(' ').map(Number)
    emit({
      type: 'system',
      subtype: 'api_retry',
      attempt: 1,
      max_retries: 5,
      retry_delay_ms: delay,
      error_status: status,
      error: status === 429 ? 'rate_limit' : status === 529 ? 'overloaded' : 'server_error',
    })
    play.hold()
  },
  exhausted: () => {
    emit({
      type: 'system',
      subtype: 'api_retry',
      attempt: 1,
      max_retries: 1,
      retry_delay_ms: 1,
      error_status: 529,
      error: 'overloaded',
    })
    holding = 'exhausted'
  },
  subagent: (mode) => {
    const call = `toolu_${randomUUID()}`
    assistant([{ type: 'tool_use', id: call, name: 'Agent', input: { description: 'Inner', prompt: 'look' } }])
    const task_id = mode === 'known' ? `task_of_${session_id}` : `task_${randomUUID()}`
    emit({
      type: 'system',
      subtype: 'task_started',
      task_id,
      tool_use_id: call,
      description: 'Inner',
      subagent_type: 'general-purpose',
      is_backgrounded: false,
      task_type: 'local_agent',
      prompt: 'look',
    })
    assistant([{ type: 'text', text: 'inner words' }], { parent_tool_use_id: call, agent_id: task_id })
    if (mode === 'crash') return play.crash()
    if (mode === 'hold') return void (holding = true)
    emit({
      type: 'system',
      subtype: 'task_notification',
      task_id,
      tool_use_id: call,
      status: 'completed',
      output_file: '',
      summary: 'inner report',
    })
    emit({
      type: 'user',
      message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: call, content: 'inner report' }] },
      parent_tool_use_id: null,
    })
    play.say('outer words')
  },
  behind: (mode) => {
    state('running')
    const task_id = `task_${randomUUID()}`
    const task = { task_id, task_type: 'local_agent', subagent_type: 'general-purpose', description: 'Behind' }
    emit({ type: 'system', subtype: 'background_tasks_changed', tasks: [task] })
    emit({ type: 'system', subtype: 'task_started', ...task, is_backgrounded: true, prompt: 'look' })
    play.say('first')
    state('idle')
    if (mode === 'crash') process.stdout.write('', () => process.exit(7))
    if (mode !== 'quiet' && mode !== 'follow') return
    emit({ type: 'system', subtype: 'task_notification', task_id, status: 'stopped', output_file: '', summary: '' })
    emit({ type: 'system', subtype: 'background_tasks_changed', tasks: [] })
    if (mode !== 'follow') return
    state('running')
    text('second')
    holding = true
  },
  env: (name) => play.say(process.env[name] ?? 'unset'),
  cost: (amount) => {
    total = Number(amount)
    play.say(`cost ${amount}`)
  },
  spend: (amount) => {
    const budget = Number(arg('--max-budget-usd') ?? Infinity)
    const start = total
    const stream = (event) => emit({ type: 'stream_event', event, parent_tool_use_id: null })
    holding = true
    const timer = setInterval(() => {
      if (!holding) return clearInterval(timer)
      stream({ type: 'message_start', message: { id: randomUUID(), model: 'fake', usage } })
      total += Number(amount)
      stream({ type: 'message_stop' })
      if (total - start < budget - 1e-9) return
      clearInterval(timer)
      holding = false
      const stopped = { subtype: 'error_max_budget_usd', terminal_reason: 'budget_exhausted', is_error: true }
      result('', { ...stopped, errors: [], result: undefined })
    }, 20)
  },
  error: (type) => {
    assistant([{ type: 'text', text: `API Error: ${type}` }], { error: type })
    result(`API Error: ${type}`, { is_error: true, terminal_reason: 'api_error' })
  },
}

let greeted = false
readLines(
  (line) => {
    const message = JSON.parse(line)
    if (message.type === 'control_request') {
      if (stubborn) return
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
            ...(process.env.FAKE_USAGE && { session: { total_cost_usd: total, model_usage: modelUsage() } }),
          },
        },
      })
      if (message.request.subtype === 'interrupt' && holding === 'finishes') play.leaves('done in time')
      else if (message.request.subtype === 'interrupt' && holding === 'exhausted') play.error('overloaded')
      else if (message.request.subtype === 'interrupt' && holding) {
        holding = false
        result('', {
          subtype: 'error_during_execution',
          terminal_reason: 'aborted_tools',
          errors: ['interrupted'],
          result: undefined,
        })
      }
      return
    }
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
    const prompt = typeof content === 'string' ? content : content.map((block) => block.text ?? '').join('\n')
    const [part, ...rest] = prompt.split(' ')
    ;(play[part] ?? (() => play.say(`echo ${prompt}`)))(rest.join(' '))
  },
  () => {
    if (!stubborn) process.exit(0)
  },
)
