import { ApiError } from '@troupe/protocol/error'
import { parseId } from '@troupe/protocol/ids'
import { z } from 'zod'

export const SessionParams = z.object({ session_id: z.string().max(256).describe('`sesn_…` or the UUID') })

/** The native id behind either rendering. Throws `session_not_found` for what cannot be one. */
export function sessionIdOf(text: string): string {
  const id = parseId('sesn', text)
  if (id === null) throw new ApiError('session_not_found', `Session ${JSON.stringify(text)} does not exist.`)
  return id
}

type RangeQuery = Partial<Record<`created_at[${'gt' | 'gte' | 'lt' | 'lte'}]`, string | undefined>>

/** `created_at[gt]` and its kin, in ms. */
export function createdAtRange(query: RangeQuery) {
  const range: { gt?: number; gte?: number; lt?: number; lte?: number } = {}
  for (const bound of ['gt', 'gte', 'lt', 'lte'] as const) {
    const text = query[`created_at[${bound}]`]
    if (text !== undefined) range[bound] = Date.parse(text)
  }
  return range
}
