import { ApiError } from '@troupe/protocol/error'
import { MAX_OUTPUT_SCHEMA_BYTES, type OutputSchema } from '@troupe/protocol/output-schema'
import { Ajv } from 'ajv'

/** Levels of a schema, at most. */
const MAX_DEPTH = 64
/** The agent takes draft 7; to these its common words mean the same, and it would stumble over their names (2.1.330). */
const NAMES = /^https?:\/\/json-schema\.org\/(draft-0[67]|draft\/20\d\d-\d\d)\/schema#?$/

/**
 * The schema as the agent takes it. What the agent would refuse when it starts is refused here: it compiles schemas
 * with the same library and the same strictness, and its tool can only be given an object. Throws `validation_failed`.
 */
export function checkOutputSchema(given: OutputSchema, pointer = '/output_schema'): OutputSchema {
  const refuse = (detail: string) =>
    new ApiError('validation_failed', `${pointer.slice(1).replaceAll('/', '.')}: ${detail}`, {
      errors: [{ pointer, code: 'invalid', detail }],
    })
  if (depthOf(given, MAX_DEPTH + 1) > MAX_DEPTH) throw refuse(`has more than ${MAX_DEPTH} levels.`)
  const bytes = Buffer.byteLength(JSON.stringify(given))
  if (bytes > MAX_OUTPUT_SCHEMA_BYTES)
    throw refuse(`has ${bytes} bytes as JSON; at most ${MAX_OUTPUT_SCHEMA_BYTES} are taken.`)
  const { $schema, ...schema } = given
  if ($schema !== undefined && !(typeof $schema === 'string' && NAMES.test($schema)))
    throw refuse(`$schema ${JSON.stringify($schema)} is not known; leave it out, schemas are read as draft 7.`)
  if (schema.type !== 'object') throw refuse('must be of type "object": put lists and single values into a property.')
  try {
    new Ajv({ validateFormats: false, logger: false }).compile(schema)
  } catch (error) {
    throw refuse(`is not a valid JSON Schema: ${error instanceof Error ? error.message : String(error)}`)
  }
  return schema
}

/** Levels of a value, counted up to `most`. */
function depthOf(value: unknown, most: number): number {
  if (most === 0 || typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map((inner) => depthOf(inner, most - 1)))
}
