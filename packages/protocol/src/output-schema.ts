import { z } from 'zod'

/** Bytes of a schema as JSON, at most: the agent is given it as one argument, and Linux takes 128 KiB of that. */
export const MAX_OUTPUT_SCHEMA_BYTES = 64 * 1024

/** What the result of each turn must fit. */
export const OutputSchema = z
  .record(z.string(), z.unknown())
  .describe(
    'JSON Schema (draft 7) of an object, at most 64 KiB. Each turn ends with a value that fits it, in `result.structured`, or fails with `structured_output_failed`',
  )
export type OutputSchema = z.infer<typeof OutputSchema>
