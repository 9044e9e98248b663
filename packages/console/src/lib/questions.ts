import { fieldsOf, text } from './fields.ts'

export interface Question {
  question: string
  header: string
  many: boolean
  options: { label: string; description: string }[]
}

/** The questions of an `AskUserQuestion`; what is missing is empty. */
export function questionsOf(input: unknown): Question[] {
  const { questions } = fieldsOf(input)
  return (Array.isArray(questions) ? questions : []).map(fieldsOf).map((fields) => ({
    question: text(fields.question),
    header: text(fields.header),
    many: fields.multiSelect === true,
    options: (Array.isArray(fields.options) ? fields.options : [])
      .map(fieldsOf)
      .map((option) => ({ label: text(option.label), description: text(option.description) })),
  }))
}
