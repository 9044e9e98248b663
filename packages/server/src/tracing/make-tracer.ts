import type { Logger } from '../lib/logger.ts'
import type { OtlpTarget } from '../lib/otlp-target.ts'
import type { Store } from '../store/store.ts'
import { SpanExporter } from './span-exporter.ts'
import { Tracer } from './tracer.ts'

interface TracerParts {
  store: Store
  metrics: { spansWent(outcome: 'sent' | 'dropped', spans: number): void }
  logger: Logger
  version: string
}

/** A tracer that sends to `target`. */
export function makeTracer(target: OtlpTarget, { store, metrics, logger, version }: TracerParts): Tracer {
  const exporter = new SpanExporter({
    ...target,
    resource: { 'service.version': version, ...target.resource },
    version,
    logger,
    counted: (outcome, spans) => metrics.spansWent(outcome, spans),
  })
  // How many spans it would have had is not known; it counts as one.
  return new Tracer(store, exporter, logger, () => metrics.spansWent('dropped', 1))
}
