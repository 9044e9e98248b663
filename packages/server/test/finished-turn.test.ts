import { expect, test } from 'vitest'
import { finished, finishedAnswer } from '../src/runner/finished-turn.ts'

const said = (text: string) => ({
  type: 'assistant',
  message: { stop_reason: 'end_turn', content: [{ type: 'text', text }] },
})
const called = {
  type: 'assistant',
  message: { stop_reason: 'tool_use', content: [{ type: 'tool_use', id: 'toolu_1' }] },
}
const kept = (data: unknown, toolUseID = 'toolu_1') => ({
  type: 'attachment',
  attachment: { type: 'structured_output', data, toolUseID },
})
const result = (toolEndsTurn: boolean) => ({
  type: 'user',
  toolEndsTurn,
  message: { content: [{ type: 'tool_result', tool_use_id: 'toolu_1' }] },
})
const answerOf = (...entries: object[]) => finishedAnswer(entries.map((entry) => JSON.stringify(entry)))

test('SO8 a turn whose server died behind its structured answer ends with that answer, and one without it fails', () => {
  const answer = answerOf(called, kept({ n: 1 }), result(true), { type: 'last-prompt' })
  expect(answer).toEqual({ text: '{"n":1}', structured: { n: 1 } })
  expect(finished(answer!, { structured: true })).toMatchObject({
    status: 'completed',
    structured: { n: 1 },
    error: null,
  })
  const words = answerOf(said('no value'))
  expect(words).toEqual({ text: 'no value', structured: null })
  expect(finished(words!, { structured: false })).toMatchObject({ status: 'completed', text: 'no value' })
  expect(finished(words!, { structured: true })).toMatchObject({
    status: 'failed',
    stopReason: { type: 'structured_output_failed' },
    error: { code: 'structured_output_failed', message: expect.stringContaining('no value') },
    text: null,
  })
})

test('SO9 a call whose answer did not end its turn, or is another one, is no end of it', () => {
  expect(answerOf(called, kept({ n: 1 }), result(false))).toBe(null)
  expect(answerOf(called, kept({ n: 1 }, 'toolu_0'), result(true))).toBe(null)
  expect(answerOf(kept({ n: 1 }), called, result(true))).toBe(null)
  expect(answerOf(called)).toBe(null)
})
