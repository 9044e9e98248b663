import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { query, type SDKMessage } from '@anthropic-ai/claude-agent-sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startDemoModel, type DemoModel, type Step } from '../src/demo-model.ts'
import { resultOf, stage, toolOutputs, turn, type Stage } from './agent.ts'

let model: DemoModel
let place: Stage

beforeAll(async () => {
  place = stage()
  model = await startDemoModel()
})
afterAll(async () => {
  await model.close()
  place.remove()
})

const play = (prompt: string, options = {}) => turn(place, model.url, prompt, options)
const fence = (steps: Step[]) => `Play this:\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string) => ({ name: 'Bash', input: { command, description: 'a command' } })

describe('the genuine agent', () => {
  test('is introduced to a visitor, and its requests name the session', async () => {
    const { text, sessionId } = resultOf(await play('I am a visitor. Please introduce yourself.'))
    expect(text).toContain('a script, not a language model')
    const [request] = model.requests.list(sessionId)
    expect(request).toMatchObject({
      lastUserText: 'I am a visitor. Please introduce yourself.',
      step: 0,
      agentId: null,
      stream: true,
      status: 200,
      outcome: 'answered',
    })
    expect(request?.toolNames).toEqual(expect.arrayContaining(['Agent', 'Bash', 'Write']))
  })

  test('runs several tools of one message in its workdir, on a model of either conversation format', async () => {
    for (const name of ['claude-opus-5-5', 'claude-haiku-4-5']) {
      const file = `${name}.txt`
      const steps = [{ say: 'Both.', tools: [bash(`echo ${name} > ${file}`), bash('pwd')] }, { say: 'Both done.' }]
      const messages = await play(fence(steps), { model: name })
      expect(resultOf(messages).text).toBe('Both done.')
      expect(toolOutputs(messages)).toContain(place.workdir)
      expect(readFileSync(join(place.workdir, file), 'utf8')).toBe(`${name}\n`)
    }
  })

  test('is given a script by session id, and what it bills is what the endpoint recorded', async () => {
    const sessionId = randomUUID()
    model.script(sessionId, [{ tools: [bash('echo one')] }, { say: 'two' }])
    const messages = await play('look around', { sessionId })
    expect(resultOf(messages)).toEqual({ text: 'two', sessionId })
    const recorded = model.requests.list(sessionId).map((request) => request.usage)
    expect(recorded).toHaveLength(2)
    const result = messages.find((message) => message.type === 'result')
    for (const figure of ['input_tokens', 'output_tokens', 'cache_read_input_tokens'] as const) {
      expect(result?.usage[figure]).toBe(recorded.reduce((sum, usage) => sum + (usage?.[figure] ?? 0), 0))
    }
  })

  test('hears back from a subagent, which plays its own prompt', async () => {
    const messages = await play('Start a subagent')
    const { text, sessionId } = resultOf(messages)
    expect(text).toContain('The subagent reports:')
    expect(text).toContain('This is what I found:')
    const asked = model.requests.list(sessionId).map((request) => [request.agentId !== null, request.step])
    expect(asked).toEqual([
      [false, 0],
      [true, 0],
      [true, 1],
      [false, 1],
    ])
  })

  test('tries again after two answers of 529', async () => {
    const { text, sessionId } = resultOf(await play('Fail twice with 529'))
    expect(text).toContain('The API answered 529 2 times')
    expect(model.requests.list(sessionId).map((request) => request.status)).toEqual([529, 529, 200])
  })

  test('goes on with the right step when a turn is cut and resumed, by an endpoint that was restarted', async () => {
    const sessionId = randomUUID()
    const steps: Step[] = [
      { tools: [bash('echo first >> order')] },
      { tools: [bash('echo second >> order')] },
      { say: 'Done.' },
    ]
    const cut = await startDemoModel()
    cut.script(sessionId, [steps[0] as Step, { hang: true }])
    const abortController = new AbortController()
    const running = expect(turn(place, cut.url, fence(steps), { sessionId, abortController })).rejects.toThrow()
    await cut.nextRequest((request) => request.step === 1)
    abortController.abort()
    await running
    await cut.close()
    const env = { ...place.env, ANTHROPIC_BASE_URL: model.url, CLAUDE_CODE_RESUME_INTERRUPTED_TURN: '1' }
    const messages = await resumeSilently(sessionId, env)
    expect(resultOf(messages).text).toBe('Done.')
    expect(readFileSync(join(place.workdir, 'order'), 'utf8')).toBe('first\nsecond\n')
  })

  test('starts the script of a new prompt at its first step', async () => {
    const { sessionId } = resultOf(await play(fence([{ tools: [bash('true')] }, { say: 'one' }])))
    const next = await play(fence([{ say: 'two' }, { say: 'never' }]), { resume: sessionId })
    expect(resultOf(next)).toEqual({ text: 'two', sessionId })
  })

  test('is interrupted in the middle of a text and then takes another prompt', async () => {
    const { texts, sessionId } = await interruptThen(
      fence([{ hang: 'mid', say: 'one two three' }]),
      'Write a file named after.txt',
    )
    expect(texts.at(-1)).toContain('The Write tool says:')
    expect(existsSync(join(place.workdir, 'after.txt'))).toBe(true)
    expect(model.requests.list(sessionId).map((request) => request.outcome)).toEqual([
      'disconnected',
      'answered',
      'answered',
    ])
  })
})

/** Resumes with no new input, until the turn that was cut has ended. */
async function resumeSilently(sessionId: string, env: Record<string, string | undefined>) {
  const ended = Promise.withResolvers<void>()
  const messages: SDKMessage[] = []
  const options = {
    cwd: place.workdir,
    env,
    settingSources: [],
    permissionMode: 'bypassPermissions' as const,
    allowDangerouslySkipPermissions: true,
    resume: sessionId,
  }
  for await (const message of query({ prompt: silence(ended.promise), options })) {
    messages.push(message)
    if (message.type === 'result') ended.resolve()
  }
  return messages
}

async function* silence(until: Promise<void>) {
  await until
  yield* []
}

/** Interrupts the first prompt as soon as its text begins, resumes the session with the second. */
async function interruptThen(first: string, second: string) {
  let sessionId = ''
  const options = {
    cwd: place.workdir,
    env: { ...place.env, ANTHROPIC_BASE_URL: model.url },
    settingSources: [],
    includePartialMessages: true,
  }
  const ended = Promise.withResolvers<void>()
  const running = query({ prompt: one(first, ended.promise), options })
  try {
    for await (const message of running) {
      sessionId = message.session_id ?? sessionId
      if (message.type === 'stream_event' && message.event.type === 'content_block_delta') await running.interrupt()
      if (message.type === 'result') ended.resolve()
    }
  } catch {
    // The SDK ends an interrupted query with an error.
  }
  const messages = await play(second, { resume: sessionId })
  return { sessionId, texts: [resultOf(messages).text] }
}

async function* one(text: string, until: Promise<void>) {
  yield { type: 'user' as const, message: { role: 'user' as const, content: text }, parent_tool_use_id: null }
  await until
}
