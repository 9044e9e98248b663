import { isRecord } from './step.ts'

/**
 * A small value that fits a JSON schema, as far as type, enum, const, required, items, bounds and the first branch of
 * anyOf/oneOf/allOf say; patterns and formats are not looked at. Strings hold the beginning of `words`.
 */
export function sampleOf(schema: unknown, words: string, depth = 0): unknown {
  if (!isRecord(schema) || depth > 20) return null
  if (schema.const !== undefined) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0]
  for (const union of [schema.anyOf, schema.oneOf, schema.allOf]) {
    if (Array.isArray(union)) return sampleOf(union[0], words, depth + 1)
  }
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type
  switch (type) {
    case 'array':
      return sampleList(schema, words, depth)
    case 'string':
      return sampleText(schema, words)
    case 'number':
    case 'integer':
      return typeof schema.minimum === 'number' ? Math.ceil(schema.minimum) : 0
    case 'boolean':
      return true
    case 'null':
      return null
    default:
      return sampleObject(schema, words, depth)
  }
}

function sampleObject(schema: Record<string, unknown>, words: string, depth: number): Record<string, unknown> {
  const properties = isRecord(schema.properties) ? schema.properties : {}
  const required = Array.isArray(schema.required) ? schema.required.map(String) : Object.keys(properties)
  return Object.fromEntries(required.map((name) => [name, sampleOf(properties[name] ?? {}, words, depth + 1)]))
}

function sampleList(schema: Record<string, unknown>, words: string, depth: number): unknown[] {
  const least = typeof schema.minItems === 'number' ? Math.min(schema.minItems, 100) : 1
  return Array.from({ length: least }, () => sampleOf(schema.items, words, depth + 1))
}

function sampleText(schema: Record<string, unknown>, words: string): string {
  const most = typeof schema.maxLength === 'number' ? Math.min(schema.maxLength, 60) : 60
  const least = typeof schema.minLength === 'number' ? Math.min(schema.minLength, 10_000) : 0
  return (words.trim() || 'demo').slice(0, most).padEnd(least, '.')
}
