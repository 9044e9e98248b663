import { lazy, Suspense } from 'react'
import { type Fields, fieldsOf, text } from '../lib/fields.ts'
import { useWords } from '../words/use-words.tsx'

const Diff = lazy(() => import('./diff.tsx'))

/** Characters of one text that are shown: a file of a megabyte is not for reading here. */
export const MOST = 20_000

export function Cut({ value }: { value: string }) {
  const words = useWords()
  if (value.length <= MOST) return <>{value}</>
  return (
    <>
      {value.slice(0, MOST)}
      {'\n'}
      <span className="faint">{words.tool.cut(value.length - MOST)}</span>
    </>
  )
}

/** What a tool is called with, as that tool would show it. */
export function ToolInput({ name, input }: { name: string; input: unknown }) {
  const fields = fieldsOf(input)
  switch (name) {
    case 'Bash':
      return (
        <div className="terminal" tabIndex={0}>
          <span className="command">
            <Cut value={text(fields.command)} />
          </span>
        </div>
      )
    case 'Edit':
    case 'Write':
    case 'MultiEdit': {
      const edits = Array.isArray(fields.edits) ? fields.edits.map(fieldsOf) : [fields]
      return (
        <Suspense fallback={<div className="skeleton" />}>
          {edits.map((edit, index) => (
            <Diff
              key={index}
              path={text(fields.file_path)}
              before={text(edit.old_string)}
              after={text(name === 'Write' ? fields.content : edit.new_string)}
            />
          ))}
        </Suspense>
      )
    }
    case 'TodoWrite':
      return <Todos input={fields} />
    case 'Task':
    case 'Agent':
      return <p className="said small">{text(fields.prompt) || text(fields.description)}</p>
    default:
      return <Structured fields={fields} />
  }
}

const TODO_MARKS: Record<string, string> = { completed: '✓', in_progress: '→', pending: '○' }

function Todos({ input }: { input: Fields }) {
  const todos = Array.isArray(input.todos) ? input.todos.map(fieldsOf) : []
  return (
    <ul className="todo">
      {todos.map((todo, index) => (
        <li key={index}>
          <span aria-hidden="true">{TODO_MARKS[text(todo.status)] ?? '○'}</span>
          <span className={text(todo.status)}>{text(todo.content)}</span>
        </li>
      ))}
    </ul>
  )
}

function Structured({ fields }: { fields: Fields }) {
  const entries = Object.entries(fields)
  if (entries.length === 0) return null
  return (
    <dl className="kv">
      {entries.map(([key, value]) => (
        <div key={key} style={{ display: 'contents' }}>
          <dt>{key}</dt>
          <dd>
            <Cut value={typeof value === 'string' ? value : JSON.stringify(value, null, 2)} />
          </dd>
        </div>
      ))}
    </dl>
  )
}
