import type { StreamFrame } from '@troupe/protocol/event'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { emptyView, fold, foldAll } from '../src/fold.ts'
import { delta, event, start, text } from './support/events.ts'

type Step = { type: string; n: number; words: string }

const TYPES = [
  'user.message',
  'user.message again',
  'user.interrupt',
  'session.status_running',
  'session.status_idle',
  'session.error',
  'session.usage',
  'session.updated',
  'turn.started',
  'turn.completed',
  'turn.failed',
  'agent.message',
  'agent.tool_use',
  'agent.tool_result',
  'agent.permission_denied',
  'from.the.future',
  'preview',
  'preview that ends in its event',
]

/** Frames as a stream might carry them: every `seq` once, previews between, ids told again. */
function framesOf(steps: Step[]): StreamFrame[] {
  let seq = 0
  return steps.flatMap(({ type, n, words }): StreamFrame[] => {
    if (type === 'preview') return [start(`lost_${seq}_${n}`), delta(`lost_${seq}_${n}`, words)]
    seq++
    if (type === 'preview that ends in its event')
      return [start(`sevt_${seq}`), delta(`sevt_${seq}`, words), event(seq, 'agent.message', { content: text(words) })]
    const turn_id = `turn_${n % 3}`
    if (type === 'user.message again')
      return [event(seq, 'user.message', { id: `sevt_${n}`, turn_id, content: text(words), processed_at: 'now' })]
    return [
      event(seq, type, {
        turn_id,
        content: text(words),
        tool_use_id: `sevt_${n}`,
        name: words,
        usage: { cost_usd: n },
        title: words,
        stop_reason: { type: 'end_turn' },
        error: { type: 'e', code: 'e', message: words, retry_status: { type: n % 2 ? 'retrying' : 'terminal' } },
      }),
    ]
  })
}

const someFrames = fc
  .array(fc.record({ type: fc.constantFrom(...TYPES), n: fc.integer({ min: 1, max: 12 }), words: fc.string() }), {
    maxLength: 40,
  })
  .map(framesOf)

test('replaying any beginning and then the whole gives the view of the whole', () => {
  fc.assert(
    fc.property(someFrames, fc.nat(), (frames, cut) => {
      const whole = frames.reduce(fold, emptyView)
      const beginning = frames.slice(0, cut % (frames.length + 1)).reduce(fold, emptyView)
      expect(frames.reduce(fold, beginning)).toEqual(whole)
    }),
    { numRuns: 300 },
  )
})

test('folding many frames at once gives the same view and leaves the one before as it was', () => {
  fc.assert(
    fc.property(someFrames, fc.nat(), (frames, cut) => {
      const at = cut % (frames.length + 1)
      const before = frames.slice(0, at).reduce(fold, emptyView)
      const copy = structuredClone(before)
      expect(foldAll(frames.slice(at), before)).toEqual(frames.reduce(fold, emptyView))
      expect(before).toEqual(copy)
    }),
  )
})

test('an event told twice in a row is told once', () => {
  fc.assert(
    fc.property(someFrames, (frames) => {
      const twice = frames.flatMap((frame): StreamFrame[] => ('seq' in frame ? [frame, frame] : [frame]))
      expect(twice.reduce(fold, emptyView)).toEqual(frames.reduce(fold, emptyView))
    }),
  )
})

test('a view is never changed after it was given out', () => {
  fc.assert(
    fc.property(someFrames, (frames) => {
      let view = emptyView
      for (const frame of frames) {
        const before = structuredClone(view)
        const next = fold(view, frame)
        expect(view).toEqual(before)
        view = next
      }
    }),
    { numRuns: 50 },
  )
})

test('no item stands twice in a view', () => {
  fc.assert(
    fc.property(someFrames, (frames) => {
      const { items } = frames.reduce(fold, emptyView)
      expect(new Set(items.map((item) => `${item.kind} ${item.id}`)).size).toBe(items.length)
    }),
  )
})
