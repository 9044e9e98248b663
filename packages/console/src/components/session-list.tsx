import { Link } from '@tanstack/react-router'
import type { Session } from '@troupe/protocol/session'
import { money } from '../lib/format.ts'
import { stateOf } from '../lib/session-state.ts'
import { useSpeech } from '../words/use-words.tsx'
import type { Words } from '../words/en.ts'
import { Status } from './status.tsx'
import { Ago } from './time.tsx'

export const titleOf = ({ title, prompt }: Pick<Session, 'title' | 'prompt'>, words: Words): string =>
  title?.trim() || prompt?.trim().split('\n', 1)[0] || words.untitled

/** The end of what the agent said, without the marks of Markdown. */
const lastLine = (text: string): string =>
  text
    .slice(0, 400)
    .replaceAll(/[`*#>]+/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, 120)

export function SessionList({ sessions }: { sessions: readonly Session[] }) {
  const { words, language } = useSpeech()
  return (
    <nav className="session-list" aria-label={words.sessions}>
      {sessions.map((session) => (
        <Link key={session.id} to="/s/$id" params={{ id: session.id }} data-session={session.id}>
          <span className="title clip">{titleOf(session, words)}</span>
          {session.result?.text && <span className="last clip">{lastLine(session.result.text)}</span>}
          <span className="meta">
            <Status state={stateOf(session)} />
            <span className="end">{session.usage.cost_usd > 0 && money(session.usage.cost_usd, language)}</span>
            <Ago at={session.updated_at} />
          </span>
        </Link>
      ))}
    </nav>
  )
}

export function ListSkeleton({ rows = 5 }: { rows?: number }) {
  const words = useSpeech().words
  return (
    <div role="status" aria-label={words.loading} className="stack" style={{ padding: 12 }}>
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className="skeleton" style={{ width: `${90 - index * 9}%` }} />
      ))}
    </div>
  )
}
