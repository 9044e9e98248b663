import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startDemoModel, type DemoModel, type Step } from '../src/demo-model.ts'
import { words } from '../src/language.ts'
import { bash, user } from './talk.ts'

const SESSION = '0f93371c-d8b8-4d30-a025-7d6c4d1b2677'
let model: DemoModel

beforeEach(async () => {
  model = await startDemoModel()
})
afterEach(() => model.close())

interface Ask {
  stream?: boolean
  fields?: Record<string, unknown>
  signal?: AbortSignal
}

function ask(prompt: string, { stream = false, fields = {}, signal }: Ask = {}): Promise<Response> {
  return fetch(`${model.url}/v1/messages?beta=true`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-claude-code-session-id': SESSION },
    body: JSON.stringify({ model: 'claude-x', messages: [user(prompt)], tools: [bash], stream, ...fields }),
    signal,
  })
}

/** What an answer may hold, of a message, an error and a count together. */
interface Body {
  content: { text: string }[]
  stop_reason: string
  usage: Record<string, number>
  error: { message: string }
  request_id: string
  input_tokens: number
  data: unknown[]
}

const bodyOf = async (answer: Promise<Response> | Response): Promise<Body> => (await (await answer).json()) as Body

interface Sent {
  type: string
  index: number
  message: { usage: Record<string, number> }
  content_block: Record<string, unknown>
  delta: Record<string, string>
  usage: Record<string, number>
}

const eventsIn = (text: string): Sent[] =>
  [...text.matchAll(/^data: ([^\n]*)$/gm)].map((match) => JSON.parse(match[1] ?? ''))

/** Puts a streamed message together as a client does. */
function assemble(events: Sent[]) {
  const content: Record<string, unknown>[] = []
  const json: string[] = []
  let end: Partial<Sent> = {}
  for (const event of events) {
    if (event.type === 'content_block_start') content[event.index] = { ...event.content_block }
    if (event.type === 'message_delta') end = event
    if (event.type !== 'content_block_delta') continue
    const block = content[event.index] ?? {}
    const { type, partial_json, ...rest } = event.delta
    if (type === 'input_json_delta') json[event.index] = (json[event.index] ?? '') + partial_json
    for (const [field, piece] of Object.entries(rest)) block[field] = `${block[field] as string}${piece}`
  }
  for (const [index, text] of json.entries()) if (text) Object.assign(content[index] ?? {}, { input: JSON.parse(text) })
  return { content, stop_reason: end.delta?.stop_reason, usage: end.usage }
}

describe('POST /v1/messages', () => {
  test('streams the same message that it gives at once', async () => {
    const step = fc.record(
      {
        say: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
        think: fc.string({ maxLength: 20 }),
        tools: fc.array(
          fc.record({ id: fc.uuid(), name: fc.string(), input: fc.dictionary(fc.string(), fc.jsonValue()) }),
          { maxLength: 3 },
        ),
        stream: fc.constant({ chunk_ms: 0 }),
      },
      { requiredKeys: ['say'] },
    )
    const property = fc.asyncProperty(step, async (step) => {
      model.script(SESSION, [step as Step])
      const fields = { thinking: { type: 'adaptive' } }
      const whole = await bodyOf(ask('x', { fields }))
      const streamed = assemble(eventsIn(await (await ask('x', { fields, stream: true })).text()))
      expect(streamed).toEqual({ content: whole.content, stop_reason: whole.stop_reason, usage: whole.usage })
    })
    await fc.assert(property, { numRuns: 40, examples: [[{ say: 'a\u2028b' }]] })
  })

  test('sends the events of the real API in order, and the model of the request', async () => {
    model.script(SESSION, [{ think: 'hm', say: 'hi', tools: [{ name: 'Bash', input: { command: 'ls' } }] }])
    const res = await ask('x', { stream: true, fields: { thinking: { type: 'adaptive' } } })
    const events = eventsIn(await res.text())
    const kinds = events.map((event) => event.type).filter((type, index, all) => type !== all[index - 1])
    const block = ['content_block_start', 'content_block_delta', 'content_block_stop']
    expect(kinds).toEqual(['message_start', 'ping', ...block, ...block, ...block, 'message_delta', 'message_stop'])
    expect(events[0]).toMatchObject({
      message: { role: 'assistant', model: 'claude-x', content: [], stop_reason: null },
    })
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'tool_use' } })
    expect(res.headers.get('request-id')).toMatch(/^req_/)
  })

  test('leaves thinking out when the request wants none', async () => {
    model.script(SESSION, [{ think: 'hm', say: 'hi' }])
    expect(await bodyOf(ask('x'))).toMatchObject({ content: [{ type: 'text', text: 'hi' }] })
  })

  test('fails in the shape of the real API, as often as asked for each prompt', async () => {
    const prompt = '```script\n[{"fail":{"status":529,"times":2,"retry_after":3},"say":"there"}]\n```'
    for (let again = 0; again < 2; again++) {
      const res = await ask(prompt)
      expect(res.status).toBe(529)
      expect(res.headers.get('retry-after')).toBe('3')
      const body = await bodyOf(res)
      expect(body).toMatchObject({ type: 'error', error: { type: 'overloaded_error' } })
      expect(body.request_id).toBe(res.headers.get('request-id'))
    }
    expect(await bodyOf(ask(prompt))).toMatchObject({ content: [{ text: 'there' }] })
    expect((await ask(`${prompt}\nagain`)).status).toBe(529)
  })

  test('reports the same usage for the same request, replaced where the step says so', async () => {
    model.script(SESSION, [{ say: 'hi', usage: { cache_read_input_tokens: 5 } }])
    const first = await bodyOf(ask('x'))
    const second = await bodyOf(ask('x'))
    expect(first.usage).toEqual(second.usage)
    expect(first.usage.cache_read_input_tokens).toBe(5)
    expect([...model.requests].map((request) => request.usage)).toEqual([first.usage, second.usage])
  })

  test('splits the input of a caching agent between fresh, written and read', async () => {
    const cached = { system: [{ type: 'text', text: 's'.repeat(4_000), cache_control: { type: 'ephemeral' } }] }
    const { usage } = await bodyOf(ask('x', { fields: cached }))
    expect(usage.cache_creation_input_tokens).toBeGreaterThan(1_000)
    expect(usage.cache_creation).toEqual({
      ephemeral_5m_input_tokens: usage.cache_creation_input_tokens,
      ephemeral_1h_input_tokens: 0,
    })
    const messages = [user('x'), { role: 'assistant', content: 'y' }, user('z')]
    const { usage: next } = await bodyOf(ask('x', { fields: { ...cached, messages } }))
    expect(next.cache_read_input_tokens).toBeGreaterThan(1_000)
    expect(next.cache_creation_input_tokens).toBeLessThan(50)
  })

  test.each([
    ['{', 400, 'invalid_request_error'],
    ['{"model":"m"}', 400, 'invalid_request_error'],
    ['{"model":"m","messages":[{"role":"robot","content":"x"}]}', 400, 'invalid_request_error'],
    [' '.repeat(66 * 1024 * 1024), 413, 'request_too_large'],
  ])('refuses an unusable body', async (body, status, type) => {
    const res = await fetch(`${model.url}/v1/messages`, { method: 'POST', body })
    expect(res.status).toBe(status)
    expect(await bodyOf(res)).toMatchObject({ type: 'error', error: { type } })
    expect([...model.requests]).toMatchObject([{ status, outcome: 'answered' }])
  })

  test('answers a request for a title with JSON of its schema, whatever the script', async () => {
    model.script(SESSION, [{ say: 'scripted' }])
    const schema = { type: 'object', properties: { title: { type: 'string' } }, required: ['title'] }
    const fields = { tools: [], output_config: { format: { type: 'json_schema', schema } } }
    const reply = await bodyOf(ask('<session>\ncats\n</session>\n\nWrite the title.', { fields }))
    expect(JSON.parse(reply.content[0]?.text ?? '')).toEqual({ title: 'cats' })
  })
})

describe('hanging', () => {
  test('never answers, and is over when the client leaves', async () => {
    const leaving = new AbortController()
    const answer = ask('```script\n[{"hang":true}]\n```', { signal: leaving.signal })
    const request = await model.nextRequest((request) => request.sessionId === SESSION)
    expect(request).toMatchObject({ status: null, outcome: 'pending' })
    leaving.abort()
    await expect(answer).rejects.toThrow()
    await model.nextRequest((request) => request.outcome === 'disconnected')
  })

  test('in the middle sends the beginning of the text', async () => {
    const res = await ask('```script\n[{"hang":"mid","say":"one two three four","stream":{"chunk_ms":0}}]\n```', {
      stream: true,
    })
    const decoder = new TextDecoder()
    let text = ''
    for await (const chunk of res.body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      if (text.includes('two ')) break
    }
    expect(text).not.toContain('three')
    expect(await model.nextRequest((request) => request.outcome === 'disconnected')).toMatchObject({ status: 200 })
  })

  test('ends when the endpoint closes, which it may do any number of times', async () => {
    const answer = ask('```script\n[{"hang":true}]\n```')
    const stuck = expect(answer).rejects.toThrow()
    await model.nextRequest(() => true)
    const waiting = expect(model.nextRequest(() => false)).rejects.toThrow('closed')
    await Promise.all([model.close(), model.close(), stuck, waiting])
    await model.close()
    expect([...model.requests]).toMatchObject([{ outcome: 'disconnected' }])
  })
})

describe('the other paths', () => {
  test.each([
    ['GET', '/', 200],
    ['HEAD', '/', 200],
    ['HEAD', '/api/hello', 200],
    ['GET', '/v1/models', 200],
    ['GET', '/v1/models/claude-opus-5-5', 200],
    ['GET', '/v1/nothing', 404],
    ['POST', '/_demo/requests', 404],
  ])('%s %s gives %i', async (method, path, status) => {
    expect((await fetch(model.url + path, { method })).status).toBe(status)
  })

  test('tokens are counted as a message would be billed', async () => {
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(400) }] })
    const res = await fetch(`${model.url}/v1/messages/count_tokens`, { method: 'POST', body })
    const message = await bodyOf(fetch(`${model.url}/v1/messages`, { method: 'POST', body }))
    expect(await bodyOf(res)).toEqual({ input_tokens: message.usage.input_tokens })
  })

  test('a script is set, used and forgotten over HTTP', async () => {
    const path = `${model.url}/_demo/scripts/${SESSION}`
    const put = await fetch(path, { method: 'PUT', body: '[{"say":"over HTTP"}]' })
    expect(await bodyOf(put)).toEqual({ session_id: SESSION, steps: 1 })
    expect(await bodyOf(ask('hello'))).toMatchObject({ content: [{ text: 'over HTTP' }] })
    const bad = await fetch(path, { method: 'PUT', body: '[{"hang":"no"}]' })
    expect(bad.status).toBe(400)
    expect((await bodyOf(bad)).error.message).toContain('steps[0].hang')
    await fetch(path, { method: 'DELETE' })
    expect((await bodyOf(ask('hello'))).content[0]?.text).toContain('demo model')
  })

  test('the log is read by session, and emptied, over HTTP', async () => {
    await ask('hello')
    const log = async (query: string) => (await bodyOf(fetch(`${model.url}/_demo/requests${query}`))).data
    expect(await log(`?session_id=${SESSION}`)).toMatchObject([
      { session_id: SESSION, last_user_text: 'hello', step: 0 },
    ])
    expect(await log('?session_id=other')).toEqual([])
    await fetch(`${model.url}/_demo/requests`, { method: 'DELETE' })
    expect(model.requests.length).toBe(0)
  })
})

test('nextRequest gives up with its signal', async () => {
  const giving = new AbortController()
  const waiting = expect(model.nextRequest(() => false, giving.signal)).rejects.toThrow('enough')
  giving.abort(new Error('enough'))
  await waiting
})

test('words join to the text they come from', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => words(text).join('') === text))
  expect(words('二つの words here')).toEqual(['二つ', 'の', ' ', 'words ', 'here'])
})
