import type { Agent } from '@troupe/protocol/saved-agent'

/** A tool that the client runs, as it was typed. */
export interface ClientToolDraft {
  name: string
  description: string
  schema: string
}

export const NEW_CLIENT_TOOL: ClientToolDraft = {
  name: '',
  description: '',
  schema: '{\n  "type": "object",\n  "properties": {}\n}',
}

export const clientToolsOf = ({ tools }: Pick<Agent, 'tools'>): ClientToolDraft[] =>
  tools
    .filter(({ type }) => type === 'custom')
    .map(({ name, description, input_schema }) => ({
      name: String(name),
      description: String(description),
      schema: JSON.stringify(input_schema, null, 2),
    }))

/** Why a schema is none of a tool's input; null where it is one. */
export function inputSchemaProblem(text: string): 'syntax' | 'object' | null {
  try {
    const value: unknown = JSON.parse(text)
    return (value as { type?: unknown } | null)?.type === 'object' ? null : 'object'
  } catch {
    return 'syntax'
  }
}

/** Whether an earlier one has the name already. */
export const isNamedTwice = (tools: readonly ClientToolDraft[], index: number): boolean =>
  tools.findIndex(({ name }) => name === tools[index]!.name) < index

export const clientToolsFit = (tools: readonly ClientToolDraft[]): boolean =>
  tools.every(({ schema }, index) => inputSchemaProblem(schema) === null && !isNamedTwice(tools, index))

/** As they are sent; of one whose schema is still being written, the text. */
export const clientToolsBody = (tools: readonly ClientToolDraft[]) =>
  tools.map(({ name, description, schema }) => ({
    type: 'custom',
    name,
    description,
    input_schema: inputSchemaProblem(schema) === null ? (JSON.parse(schema) as object) : schema,
  }))
