import { ApiError } from '@troupe/protocol/error'
import type { Server } from './server.ts'

/** Levels that the JSON of a body may have; no route needs ten, and an output schema of a caller seldom thirty. */
export const MAX_DEPTH = 128

/**
 * Refuses bodies that are nested so deeply that what goes through them level by level would run out of stack. Costs one
 * look at each value that holds others.
 */
export function shallowBodies(server: Server): void {
  server.addHook('preValidation', async ({ body }) => {
    let level = holders([body])
    for (let depth = 1; level.length > 0; depth++) {
      if (depth > MAX_DEPTH)
        throw new ApiError('validation_failed', `The body is nested more than ${MAX_DEPTH} levels deep.`, {
          errors: [{ pointer: '', code: 'too_big', detail: `at most ${MAX_DEPTH} levels` }],
        })
      level = level.flatMap((holder) => holders(Object.values(holder)))
    }
  })
}

const holders = (values: unknown[]): object[] =>
  values.filter((value): value is object => {
    if (typeof value !== 'object' || value === null) return false
    return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
  })
