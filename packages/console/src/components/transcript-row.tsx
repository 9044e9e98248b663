import { textOf } from '@troupe/client/content'
import type { Item } from '@troupe/client/view'
import { Link } from '@tanstack/react-router'
import { memo, useContext, useState } from 'react'
import type { Row } from '../lib/rows.ts'
import { ShownSession } from '../lib/shown-session.ts'
import { useWords } from '../words/use-words.tsx'
import { Icon } from './icon.tsx'
import { Images } from './images.tsx'
import { LeftFiles } from './left-files.tsx'
import { Markdown } from './markdown.tsx'
import { SetupStep } from './setup-step.tsx'
import { ToolCall } from './tool-call.tsx'

export interface RowProps {
  row: Row
  waiting: ReadonlySet<string>
  live: boolean
  open: boolean | null
}

export const TranscriptRow = memo(function TranscriptRow({ row, waiting, live, open }: RowProps) {
  const words = useWords()
  if (row.kind === 'preview')
    return row.type === 'agent.message' ? (
      <div className="measure">
        <Markdown text={row.text} writing />
      </div>
    ) : (
      <Thinking text={row.text} writing />
    )
  if (row.kind === 'group') return <Group row={row} waiting={waiting} live={live} open={open} />
  return <One item={row.item} waiting={waiting} live={live} open={open} words={words} />
})

function One({
  item,
  waiting,
  live,
  open,
  words,
}: { item: Item; words: ReturnType<typeof useWords> } & Omit<RowProps, 'row'>) {
  switch (item.kind) {
    case 'user':
      return (
        <div className={(item.state as string) === 'cancelled' ? 'said cancelled' : 'said'}>
          {textOf(item.content)}
          <Images content={item.content} />
        </div>
      )
    case 'agent':
      return (
        <div className="measure">
          <Markdown text={item.text} />
        </div>
      )
    case 'thinking':
      return <Thinking text="" />
    case 'tool':
      return <ToolCall item={item} waiting={waiting.has(item.id)} live={live} open={open} />
    case 'interrupt':
      return <div className="rule">{words.interrupted(item.mode)}</div>
    case 'note':
      return (
        <div className="aside top measure">
          <Icon name="settings" />
          <span className="verb">{words.toldAsSystem}</span>
          <span className="soft">{item.text}</span>
        </div>
      )
    case 'files':
      return <LeftFiles item={item} />
    case 'setup':
      return <SetupStep item={item} />
    case 'compaction':
      return <div className="rule">{words.compacted}</div>
    case 'error':
      return (
        <div className="notice bad measure">
          {item.error.message} <code className="faint">{item.error.code}</code>
        </div>
      )
    case 'thread':
      return (
        <div className="aside">
          <Icon name="agent" />
          <span className="verb">{words.subagent}</span>
          <ThreadLink id={item.threadId}>{[item.name, item.description].filter(Boolean).join(': ')}</ThreadLink>
        </div>
      )
  }
}

function ThreadLink({ id, children }: { id: string; children: string }) {
  const session = useContext(ShownSession)
  if (session === null) return <span className="soft clip">{children}</span>
  return (
    <Link to="/s/$id" params={{ id: session }} search={{ thread: id }} className="clip">
      {children}
    </Link>
  )
}

function Thinking({ text, writing = false }: { text: string; writing?: boolean }) {
  const words = useWords()
  const label = writing ? words.thinking : words.thought
  if (text === '')
    return (
      <div className="aside">
        <Icon name="thought" />
        <span className="faint">{label}</span>
      </div>
    )
  return (
    <details className="tool thinking">
      <summary>
        <Icon name="thought" />
        {label}
      </summary>
      <div className="inside soft small measure">{text}</div>
    </details>
  )
}

function Group({ row, ...rest }: Omit<RowProps, 'row'> & { row: Extract<Row, { kind: 'group' }> }) {
  const words = useWords()
  const [chosen, setChosen] = useState<boolean | null>(null)
  const open = chosen ?? rest.open ?? false
  return (
    <div className="group">
      <details className="tool head" open={open}>
        <summary
          onClick={(event) => {
            event.preventDefault()
            setChosen(!open)
          }}
        >
          <Icon name={row.of === 'Read' ? 'file' : 'search'} />
          <span className="verb">{words.groups[row.of](row.items.length)}</span>
          <span className="end" />
          <Icon name="chevron" className="chev" />
        </summary>
        {open && row.items.map((item) => <ToolCall key={item.id} item={item} {...rest} waiting={false} open={null} />)}
      </details>
    </div>
  )
}
