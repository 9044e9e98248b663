import { isRecord } from './step.ts'

/**
 * A small value that fits a JSON schema, as far as type, enum, const, required, items, bounds, local $refs and the first
 * branch of anyOf/oneOf/allOf say; patterns and formats are not looked at. Strings hold the beginning of `words`.
 */
export function sampleOf(schema: unknown, words: string, depth = 0, root: unknown = schema): unknown {
  if (!isRecord(schema) || depth > 20) return null
  if (typeof schema.$ref === 'string') return sampleOf(resolve(root, schema.$ref), words, depth + 1, root)
  if (schema.const !== undefined) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0]
  for (const union of [schema.anyOf, schema.oneOf, schema.allOf]) {
    if (Array.isArray(union)) return sampleOf(union[0], words, depth + 1, root)
  }
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type
  switch (type) {
    case 'array':
      return sampleList(schema, words, depth, root)
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
      return sampleObject(schema, words, depth, root)
  }
}

/** The part of a schema that a local pointer such as `#/$defs/City` names; undefined where there is none. */
function resolve(root: unknown, pointer: string): unknown {
  let part = root
  for (const name of pointer.replace(/^#\/?/, '').split('/').filter(Boolean))
    part = isRecord(part) ? part[name.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined
  return part
}

function sampleObject(
  schema: Record<string, unknown>,
  words: string,
  depth: number,
  root: unknown,
): Record<string, unknown> {
  const properties = isRecord(schema.properties) ? schema.properties : {}
  const required = Array.isArray(schema.required) ? schema.required.map(String) : Object.keys(properties)
  return Object.fromEntries(required.map((name) => [name, sampleOf(properties[name] ?? {}, words, depth + 1, root)]))
}

function sampleList(schema: Record<string, unknown>, words: string, depth: number, root: unknown): unknown[] {
  const least = typeof schema.minItems === 'number' ? Math.min(schema.minItems, 100) : 1
  return Array.from({ length: least }, () => sampleOf(schema.items, words, depth + 1, root))
}

function sampleText(schema: Record<string, unknown>, words: string): string {
  const most = typeof schema.maxLength === 'number' ? Math.min(schema.maxLength, 60) : 60
  const least = typeof schema.minLength === 'number' ? Math.min(schema.minLength, 10_000) : 0
  return (words.trim() || 'demo').slice(0, most).padEnd(least, '.')
}
