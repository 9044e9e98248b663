import { type Cron, InvalidSchedule, parseCron as parse } from '@troupe/protocol/cron'
import { ApiError } from '@troupe/protocol/error'

export type { Cron }

/** As that of the protocol, which the console shares. Throws `validation_failed`. */
export function parseCron(expression: string, timezone: string): Cron {
  try {
    return parse(expression, timezone)
  } catch (error) {
    if (!(error instanceof InvalidSchedule)) throw error
    const detail = error.message
    throw new ApiError('validation_failed', `/schedule/${error.field}: ${detail}`, {
      errors: [{ pointer: `/schedule/${error.field}`, code: 'invalid', detail }],
    })
  }
}
