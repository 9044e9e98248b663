import { useState } from 'react'
import { useWords } from '../words/use-words.tsx'
import { type Question, questionsOf } from '../lib/questions.ts'
import type { Answering } from './approval-card.tsx'

/** The agent's questions with their options, and room for words of one's own. */
export function QuestionForm({ input, busy, answer }: { input: unknown } & Answering) {
  const words = useWords()
  const questions = questionsOf(input)
  const [chosen, setChosen] = useState<Record<string, string[]>>({})
  const [own, setOwn] = useState<Record<string, string>>({})

  const given = (question: Question): string[] => {
    const free = own[question.question]?.trim()
    return free
      ? [...(question.many ? (chosen[question.question] ?? []) : []), free]
      : (chosen[question.question] ?? [])
  }
  const complete = questions.every((question) => given(question).length > 0)
  const choose = ({ question, many }: Question, label: string, on: boolean) => {
    setChosen((before) => {
      const others = many ? (before[question] ?? []).filter((each) => each !== label) : []
      return { ...before, [question]: on ? [...others, label] : others }
    })
    if (!many) setOwn((before) => ({ ...before, [question]: '' }))
  }

  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault()
        const answers = questions.map((each) => [each.question, given(each).join(', ')] as const)
        void answer({ result: 'allow', answers: Object.fromEntries(answers) })
      }}
    >
      {questions.map((question) => (
        <fieldset key={question.question}>
          <legend>{question.question}</legend>
          {question.options.map(({ label, description }) => (
            <label key={label} className="choice">
              <input
                type={question.many ? 'checkbox' : 'radio'}
                name={question.question}
                checked={(chosen[question.question] ?? []).includes(label)}
                onChange={(event) => choose(question, label, event.target.checked)}
              />
              <span>
                {label} <span className="small soft">{description}</span>
              </span>
            </label>
          ))}
          <input
            value={own[question.question] ?? ''}
            placeholder={words.ask.ownAnswer}
            aria-label={`${question.question} ${words.ask.ownAnswer}`}
            onChange={(event) => setOwn((before) => ({ ...before, [question.question]: event.target.value }))}
          />
        </fieldset>
      ))}
      <div className="buttons">
        <button className="primary" disabled={busy || !complete}>
          {words.ask.answer}
        </button>
        <button type="button" className="danger" disabled={busy} onClick={() => void answer({ result: 'deny' })}>
          {words.ask.deny}
        </button>
      </div>
    </form>
  )
}
