import { createHash } from 'node:crypto'

/** A place in a trace, as W3C Trace Context writes it: ids in lower-case hex. */
export interface TraceContext {
  traceId: string
  spanId: string
  /** Whether the caller keeps its own part: one that does not asks us to leave ours out too. */
  sampled: boolean
}

/** Version 00; later versions may say more behind it (https://www.w3.org/TR/trace-context/#versioning-of-traceparent). */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** Reads a `traceparent` header. Null for anything that is none: a request is never refused for it. */
export function parseTraceparent(header: unknown): TraceContext | null {
  if (typeof header !== 'string' || header.length > 256) return null
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(header) ?? []
  if (!traceId || !spanId || (version === '00' && more !== undefined)) return null
  return { traceId, spanId, sampled: (Number.parseInt(flags!, 16) & 1) === 1 }
}

export const formatTraceparent = ({ traceId, spanId, sampled }: TraceContext): string =>
  `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`

const hex = (of: string, characters: number) => createHash('sha256').update(of).digest('hex').slice(0, characters)

/** The id of the span that tells of an object, by the object's id: the same on every server and after every restart. */
export const spanIdOf = (id: string): string => hex(`span ${id}`, 16)

/**
 * Where a turn stands: in the trace of the request that it came with, or in one of its own. Made from what is stored, so
 * that who asks before, during or after it gets one answer.
 */
export function traceOfTurn({ id, traceparent }: { id: string; traceparent?: string | null }): TraceContext {
  const from = parseTraceparent(traceparent)
  return { traceId: from?.traceId ?? hex(`trace ${id}`, 32), spanId: spanIdOf(id), sampled: from?.sampled ?? true }
}
