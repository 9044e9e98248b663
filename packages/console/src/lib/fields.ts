/** What a tool was called with: JSON of anybody's making, so nothing about it is sure. */
export type Fields = Record<string, unknown>
export const fieldsOf = (input: unknown): Fields =>
  typeof input === 'object' && input !== null && !Array.isArray(input) ? (input as Fields) : {}
export const text = (value: unknown): string => (typeof value === 'string' ? value : '')
