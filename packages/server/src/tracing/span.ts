export type AttributeValue = string | number | boolean

/** One span, as this server tells it. Times in ms since 1970. */
export interface Span {
  traceId: string
  spanId: string
  parentSpanId: string | null
  name: string
  /** `client`: another server was asked. */
  kind: 'internal' | 'client' | 'consumer'
  startedAt: number
  endedAt: number
  /** What is undefined is left out. */
  attributes: Record<string, AttributeValue | undefined>
  /** Null: nothing went wrong. */
  error: string | null
}
