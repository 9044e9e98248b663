import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ModelBackoff } from '../src/runner/model-backoff.ts'

function backoff(random: () => number = () => 0) {
  let now = 1_000_000
  const made = new ModelBackoff({ now: () => now }, random)
  return Object.assign(made, {
    pass(ms: number) {
      now += ms
    },
  })
}

test('J20 the pause is what the model asks for, doubles while refusals go on, ends at 60 s, and is forgotten', () => {
  const model = backoff()
  expect(model.waitMs()).toBe(0)
  const pauses = []
  for (let n = 0; n < 9; n++) {
    model.refused(0)
    pauses.push(model.waitMs())
    model.pass(model.waitMs())
  }
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  model.refused(3_600_000)
  expect(model.waitMs()).toBe(60_000)
  model.pass(3_600_000)
  expect(model.until).toBeNull()
  model.refused(5_000)
  expect(model.waitMs()).toBe(5_000)
  model.pass(5_000)
  model.refused(0)
  expect(model.waitMs()).toBe(1_000)
})

test('J27 each answer of the model makes good for one refusal, and ends no pause', () => {
  const model = backoff()
  for (let n = 0; n < 6; n++) {
    model.refused(0)
    model.pass(model.waitMs())
  }
  for (let n = 0; n < 3; n++) model.answered()
  model.refused(0)
  expect(model.waitMs()).toBe(4_000)
  for (let n = 0; n < 9; n++) model.answered()
  expect(model.waitMs()).toBe(4_000)
  model.pass(4_000)
  model.refused(0)
  expect(model.waitMs()).toBe(500)
})

test('J21 refusals of one pause are one trouble: the longest counts, and ten are not worse than one', () => {
  const model = backoff()
  for (const delay of [3_000, 9_000, 500, 700]) model.refused(delay)
  expect(model.waitMs()).toBe(9_000)
  model.pass(9_000)
  model.refused(0)
  expect(model.waitMs()).toBe(1_000)
})

test('J22 jitter only ever prolongs, by at most a quarter; after a pause sessions are taken apart', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 0.999_999, noNaN: true }), fc.integer({ min: 0, max: 90_000 }), (n, delay) => {
      const model = backoff(() => n)
      model.refused(delay)
      const pause = Math.min(60_000, Math.max(500, delay))
      expect(model.waitMs()).toBeGreaterThanOrEqual(pause)
      expect(model.waitMs()).toBeLessThanOrEqual(pause * 1.25 + 1)
      expect(model.paused).toBe(true)
      model.pass(model.waitMs())
      expect(model.paused).toBe(false)
      model.taken()
      const apart = model.waitMs()
      if (pause < 30_000) expect(apart).toBeGreaterThanOrEqual(125)
      expect(apart).toBeLessThanOrEqual(376)
    }),
  )
  const calm = backoff(() => 0.5)
  calm.taken()
  expect(calm.waitMs()).toBe(0)
})
