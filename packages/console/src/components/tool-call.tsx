import { textOf } from '@troupe/client/content'
import type { ToolItem } from '@troupe/client/view'
import { lazy, memo, Suspense, useState } from 'react'
import { duration } from '../lib/format.ts'
import { useNow } from '../lib/use-now.ts'
import { useWords } from '../words/use-words.tsx'
import type { Words } from '../words/en.ts'
import { Images } from './images.tsx'
import { Icon, type IconName } from './icon.tsx'
import { fieldsOf, text } from '../lib/fields.ts'
import { type ReadLines, readOf } from '../lib/read-lines.ts'
import { Cut, MOST, ToolInput } from './tool-input.tsx'

const PlainLines = ({ read }: { path: string; read: ReadLines }) => <div className="block">{read.lines.join('\n')}</div>
// Behind an update of the server its part of the page is gone; what was read is there.
const FileLines = lazy(() => import('./file-lines.tsx').catch(() => ({ default: PlainLines })))

const ICONS: Record<string, IconName> = {
  Bash: 'terminal',
  Read: 'file',
  Write: 'file',
  Edit: 'file',
  MultiEdit: 'file',
  Grep: 'search',
  Glob: 'search',
  TodoWrite: 'list',
  Task: 'agent',
  Agent: 'agent',
  WebFetch: 'globe',
  WebSearch: 'globe',
  AskUserQuestion: 'approvals',
  StructuredOutput: 'list',
}

export const verbOf = (words: Words, { name, server }: Pick<ToolItem, 'name' | 'server'>): string =>
  words.verbs[name] ?? (server ? `${server} ${name.replace(/^mcp__[^_]+__/, '')}` : name)

/** What a call is about, in one line. */
export function targetOf({ name, input }: Pick<ToolItem, 'name' | 'input'>): string {
  const fields = fieldsOf(input)
  if (name === 'AskUserQuestion') {
    const [first] = Array.isArray(fields.questions) ? fields.questions.map(fieldsOf) : []
    return text(first?.question)
  }
  const path = text(fields.file_path) || text(fields.notebook_path)
  if (path) return path.split('/').slice(-2).join('/')
  const told = [fields.command, fields.pattern, fields.description, fields.url, fields.query, fields.path].map(text)
  return (told.find(Boolean) ?? '').split('\n', 1)[0]!
}

export type CallState = 'running' | 'waiting' | 'denied' | 'failed' | 'done'

export function callState(item: ToolItem, waiting: boolean): CallState {
  if (item.denied !== null) return 'denied'
  if (item.result) return item.result.isError ? 'failed' : 'done'
  return waiting ? 'waiting' : 'running'
}

/** One tool call: a line when folded, the tool's own view when opened. A failure opens by itself, and so does an answer. */
export const ToolCall = memo(function ToolCall({
  item,
  waiting,
  live,
  open: forced,
}: {
  item: ToolItem
  /** A person must answer before it runs. */
  waiting: boolean
  /** Its turn is still going. */
  live: boolean
  /** Opened or folded by a key for all; null: by itself. */
  open: boolean | null
}) {
  const words = useWords()
  const state = callState(item, waiting)
  const [chosen, setChosen] = useState<boolean | null>(null)
  const open = chosen ?? forced ?? (state === 'failed' || state === 'denied' || item.name === 'StructuredOutput')
  return (
    <details className="tool" open={open} data-tool={item.name}>
      <summary
        onClick={(event) => {
          event.preventDefault()
          setChosen(!open)
        }}
      >
        <Icon name={ICONS[item.name] ?? 'plug'} />
        <span className="verb">{verbOf(words, item)}</span>
        <span className="target clip">{targetOf(item)}</span>
        <End item={item} state={state} live={live} />
        <Icon name="chevron" className="chev" />
      </summary>
      {open && (
        <div className="inside">
          {item.name === 'Bash' ? <Terminal item={item} /> : <ToolInput name={item.name} input={item.input} />}
          {item.denied && <div className="block bad">{item.denied}</div>}
          {item.name !== 'Bash' && <Result item={item} />}
        </div>
      )}
    </details>
  )
})

function End({ item, state, live }: { item: ToolItem; state: CallState; live: boolean }) {
  const words = useWords()
  const now = useNow(1_000, state === 'running' && live)
  const took = item.endedAt ? duration(Date.parse(item.endedAt) - Date.parse(item.at)) : null
  if (state === 'waiting') return <span className="end wait">{words.tool.waiting}</span>
  if (state === 'denied') return <span className="end bad">{words.tool.denied}</span>
  if (state === 'failed')
    return <span className="end bad">{[words.tool.failed, took].filter(Boolean).join(' · ')}</span>
  if (state === 'running')
    return <span className="end">{live ? `${words.tool.running} ${duration(now - Date.parse(item.at))}` : ''}</span>
  return <span className="end">{[summary(item, words), took].filter(Boolean).join(' · ')}</span>
}

function summary(item: ToolItem, words: Words): string {
  const out = textOf(item.result?.content ?? []).trim()
  const lines = out === '' ? 0 : out.split('\n').length
  if (item.name === 'Read' || item.name === 'Bash') return words.tool.lines(lines)
  if (item.name === 'Grep' || item.name === 'Glob')
    return words.tool.matches(/^no (files|matches) found/i.test(out) ? 0 : lines)
  return ''
}

function Terminal({ item }: { item: ToolItem }) {
  const words = useWords()
  const out = item.result && textOf(item.result.content)
  return (
    <div className="terminal" tabIndex={0}>
      <span className="command">
        <Cut value={text(fieldsOf(item.input).command)} />
      </span>
      {out !== null && (
        <span className={item.result?.isError ? 'output bad' : 'output'}>
          {out.trim() === '' ? words.tool.noOutput : <Cut value={out.replace(/\s+$/, '')} />}
        </span>
      )}
    </div>
  )
}

function Result({ item }: { item: ToolItem }) {
  if (!item.result) return null
  const out = textOf(item.result.content).trim()
  // The diff says already what was written.
  if (!item.result.isError && /^(Write|Edit|MultiEdit|TodoWrite|StructuredOutput)$/.test(item.name)) return null
  const read = readOf(item, MOST)
  if (read)
    return (
      <Suspense fallback={<div className="skeleton" />}>
        <FileLines path={text(fieldsOf(item.input).file_path)} read={read} />
      </Suspense>
    )
  return (
    <>
      {out !== '' && (
        <div className={item.result.isError ? 'block bad' : 'block'} tabIndex={0}>
          <Cut value={out} />
        </div>
      )}
      <Images content={item.result.content} />
    </>
  )
}
