import { onTestFinished } from 'vitest'
import { type Receiver, receiver } from '../support/receiver.ts'

/** A span as it came over the wire. */
export interface Sent {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: { key: string; value: Record<string, unknown> }[]
  status?: { code: number; message: string }
}
export interface Body {
  resourceSpans: { resource: { attributes: Sent['attributes'] }; scopeSpans: { spans: Sent[] }[] }[]
}
export const bodyOf = ({ body }: { body: string }) => JSON.parse(body) as Body
export const spansOf = (from: Pick<Receiver, 'received'>) =>
  from.received.flatMap((one) => bodyOf(one).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans[0]!.spans))
export const attributesOf = ({ attributes }: Pick<Sent, 'attributes'>) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

/** Takes traces on loopback, until the test is over. */
export async function collector() {
  const found = await receiver()
  onTestFinished(() => found.close())
  return found
}
export const traced = (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url })

export const TRACE = 'abcdef0123456789abcdef0123456789'
export const PARENT = '00f067aa0ba902b7'
export const traceparent = `00-${TRACE}-${PARENT}-01`
