import type { AttributeValue, Span } from './span.ts'

/** Numbers of the protocol's enumerations (opentelemetry-proto, trace/v1/trace.proto). */
const KIND = { internal: 1, client: 3, consumer: 5 } as const
const STATUS_ERROR = 2
/** Characters of a text value, at most. */
const MAX_CHARS = 1_000

const nanos = (ms: number) => `${Math.round(ms)}000000`

function valueOf(value: AttributeValue): object {
  if (typeof value === 'string') return { stringValue: value.slice(0, MAX_CHARS) }
  if (typeof value === 'boolean') return { boolValue: value }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}

const attributesOf = (attributes: Span['attributes']) =>
  Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: valueOf(value) }]))

/** Spans as the body of an OTLP/HTTP request in JSON: ids in hex, 64-bit integers as text. */
export function otlpRequest(spans: readonly Span[], resource: Span['attributes'], version: string): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [
          {
            scope: { name: 'troupe', version },
            spans: spans.map((span) => ({
              traceId: span.traceId,
              spanId: span.spanId,
              ...(span.parentSpanId !== null && { parentSpanId: span.parentSpanId }),
              name: span.name.slice(0, MAX_CHARS),
              kind: KIND[span.kind],
              startTimeUnixNano: nanos(span.startedAt),
              endTimeUnixNano: nanos(Math.max(span.startedAt, span.endedAt)),
              attributes: attributesOf(span.attributes),
              ...(span.error !== null && { status: { code: STATUS_ERROR, message: span.error.slice(0, MAX_CHARS) } }),
            })),
          },
        ],
      },
    ],
  })
}
