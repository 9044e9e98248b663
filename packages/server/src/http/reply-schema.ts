import { ErrorBody } from '@troupe/protocol/error'
import type { z } from 'zod'

/** Statuses any `/v1` route may answer besides its own. */
const COMMON = [400, 401, 403, 404, 409, 410, 412, 413, 415, 421, 422, 429, 500, 503] as const

/** What a route answers: its own 200, and the one error body for the rest. */
export function replies<T extends z.ZodType>(ok: T): Record<number, z.ZodType> {
  const all: Record<number, z.ZodType> = { 200: ok }
  for (const status of COMMON) all[status] = ErrorBody.describe('The one error body')
  return all
}
