import fc from 'fast-check'

/** As much of JSON Schema as our own document uses. */
export interface Schema {
  $ref?: string
  anyOf?: Schema[]
  oneOf?: Schema[]
  enum?: unknown[]
  const?: unknown
  type?: string | string[]
  format?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  propertyNames?: Schema
  additionalProperties?: boolean | Schema
}

interface Content {
  content?: Record<string, { schema: Schema }>
}

export interface Operation {
  parameters?: { in: string; name: string; required?: boolean; schema: Schema }[]
  requestBody?: Content & { required?: boolean }
  responses: Record<string, Content>
}

export interface OpenApi {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

export interface Call {
  path: string
  method: string
  params: Record<string, string>
  query: Record<string, string>
  body: unknown
}

const anything = fc.jsonValue({ maxDepth: 2 })

/** Values that are likely to be taken, by name of field or parameter; a function is called when the call is made. */
export type Hints = Record<string, fc.Arbitrary<unknown>>

/** Values that a schema describes; small ones. */
function valueOf(schema: Schema, document: OpenApi, hints: Hints): fc.Arbitrary<unknown> {
  const inner = (part: Schema) => valueOf(part, document, hints)
  if (schema.$ref) return inner(document.components.schemas[schema.$ref.split('/').at(-1)!]!)
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const either = schema.anyOf ?? schema.oneOf
  if (either) return fc.oneof(...either.map(inner))
  if (Array.isArray(schema.type)) return fc.oneof(...schema.type.map((type) => inner({ ...schema, type })))
  const { minLength = 0, maxLength = 40, minimum = -(2 ** 31), maximum = 2 ** 31, minItems = 0, maxItems = 3 } = schema
  switch (schema.type) {
    case 'string':
      if (schema.format === 'date-time')
        return fc
          .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
          .map((date) => date.toISOString())
      return fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 40) })
    case 'integer':
      return fc.integer({ min: Math.max(minimum, -(2 ** 31)), max: Math.min(maximum, 2 ** 31) })
    case 'number':
      return fc.double({ min: minimum, max: maximum, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(inner(schema.items ?? {}), { minLength: minItems, maxLength: Math.min(maxItems, 3) })
    case 'object':
      return objectOf(schema, document, hints)
    default:
      return anything
  }
}

function objectOf(schema: Schema, document: OpenApi, hints: Hints): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties: rest, propertyNames } = schema
  const field = ([name, part]: [string, Schema]) => {
    const value = hinted(name, part, document, hints)
    return [name, required.includes(name) ? value : fc.option(value, { nil: undefined, freq: 1 })] as const
  }
  const named = fc.record(Object.fromEntries(Object.entries(properties).map(field)))
  if (typeof rest !== 'object' || Object.keys(rest).length === 0) return named
  const names = valueOf(propertyNames ?? { type: 'string', minLength: 1 }, document, hints) as fc.Arbitrary<string>
  const others = fc.dictionary(names, valueOf(rest, document, hints), { maxKeys: 3 })
  return fc.tuple(others, named).map(([more, own]) => ({ ...more, ...own }))
}

/** Mostly what is likely to be taken, if there is such a thing. What has no type is of a later version: rarely given. */
function hinted(name: string, schema: Schema, document: OpenApi, hints: Hints): fc.Arbitrary<unknown> {
  const typed = Object.keys(schema).some((key) => key !== 'description')
  const hint = hints[name] ?? (typed ? null : fc.constant(undefined))
  const value = valueOf(schema, document, hints)
  return hint ? fc.oneof({ weight: 9, arbitrary: hint }, { weight: 1, arbitrary: value }) : value
}

/** Replaces, or takes away, something somewhere in a value. */
function mutate(value: unknown, path: number[], by: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined || typeof value !== 'object' || value === null) return by
  const keys = Object.keys(value)
  if (keys.length === 0) return by
  const key = keys[step % keys.length]!
  const changed = { ...(value as Record<string, unknown>) }
  if (rest.length === 0 && by === undefined) delete changed[key]
  else changed[key] = mutate(changed[key], rest, by)
  return Array.isArray(value) ? Object.values(changed) : changed
}

const broken = (valid: fc.Arbitrary<unknown>) =>
  fc
    .tuple(valid, fc.array(fc.nat(20), { minLength: 1, maxLength: 4 }), fc.option(anything, { nil: undefined }))
    .map(([value, path, by]) => mutate(value, path, by))

const pick = (value: unknown): unknown => (typeof value === 'function' ? (value as () => unknown)() : value)
const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

/** Calls of every operation of the document: valid ones, and ones with a mistake. */
export function calls(document: OpenApi, hints: Hints): fc.Arbitrary<() => Call> {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const call = ({ path, method, operation }: (typeof operations)[number]): fc.Arbitrary<() => Call> => {
    const given = (where: string) => (operation.parameters ?? []).filter((parameter) => parameter.in === where)
    const parameters = (where: string, required: boolean) =>
      objectOf(
        {
          properties: Object.fromEntries(given(where).map(({ name, schema }) => [name, schema])),
          required: required ? given(where).map(({ name }) => name) : [],
        },
        document,
        hints,
      ) as fc.Arbitrary<Record<string, unknown>>
    const schema = operation.requestBody?.content?.['application/json']?.schema
    const body = schema ? valueOf(schema, document, hints) : fc.constant(undefined)
    const query = parameters('query', false)
    return fc
      .record({
        params: parameters('path', true),
        query: fc.oneof({ weight: 3, arbitrary: query }, { weight: 1, arbitrary: broken(query) }),
        body: schema ? fc.oneof(body, broken(body)) : body,
      })
      .map(({ params, query, body }) => () => ({
        path,
        method: method.toUpperCase(),
        params: Object.fromEntries(Object.entries(params).map(([name, value]) => [name, text(pick(value))])),
        query: Object.fromEntries(
          Object.entries(query ?? {}).flatMap(([name, value]) =>
            value === undefined ? [] : [[name, text(pick(value))]],
          ),
        ),
        body: resolved(body),
      }))
  }
  return fc.oneof(...operations.map(call))
}

/** A value in which every function has given its own. */
function resolved(value: unknown): unknown {
  if (typeof value === 'function') return pick(value)
  if (Array.isArray(value)) return value.map(resolved)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, resolved(part)]))
}
