import { describe, expect, test } from 'vitest'
import { parseSteps, StepError } from '../src/step.ts'

function problemsOf(value: unknown): string {
  try {
    parseSteps(value)
  } catch (error) {
    if (error instanceof StepError) return error.message
    throw error
  }
  return ''
}

describe('parseSteps', () => {
  test('accepts a step with every field', () => {
    const steps = [
      {
        say: 'hello',
        think: 'hm',
        tools: [{ name: 'Bash', input: { command: 'ls' }, id: 'toolu_1' }],
        stream: { chunk_ms: 0 },
        delay_ms: 5,
        fail: { status: 529, times: 2, retry_after: 1 },
        usage: { input_tokens: 7 },
        stop_reason: 'tool_use',
      },
      { hang: true },
      { hang: 'mid', say: 'half' },
    ]
    expect(parseSteps(steps)).toEqual(steps)
  })

  test.each([
    [{ say: 'not a list' }, 'steps must be a list, got {"say":"not a list"}'],
    [[], 'steps is empty'],
    [['hello'], 'steps[0] must be an object, got "hello"'],
    [[{ delay_ms: 3 }], 'steps[0] answers nothing: give it say, tools, fail or hang'],
    [[{ say: 'a', tool: [] }], 'steps[0].tool is not known; known: say, think, tools, '],
    [[{ say: 7 }], 'steps[0].say must be a string, got 7'],
    [[{ tools: [{ name: 'Bash' }] }], 'steps[0].tools[0].input is missing'],
    [[{ fail: { status: 200 } }], 'steps[0].fail.status must be an integer from 400 to 599, got 200'],
    [[{ fail: { status: 500, times: 0 } }], 'steps[0].fail.times must be an integer from 1 to 1000000, got 0'],
    [[{ hang: 'end' }], 'steps[0].hang must be true or "mid", got "end"'],
    [[{ say: 'a', usage: { tokens: 1 } }], 'steps[0].usage.tokens is not known'],
  ])('says what is wrong with %j', (value, problem) => {
    expect(problemsOf(value)).toContain(problem)
  })

  test('names every problem at once', () => {
    const message = problemsOf([{ say: 1 }, { hang: 2 }])
    expect(message).toContain('steps[0].say')
    expect(message).toContain('steps[1].hang')
  })
})
