import { useNavigate } from '@tanstack/react-router'
import type { SessionEvent } from '@troupe/protocol/event'
import { useState } from 'react'
import { useWords } from '../words/use-words.tsx'
import { ForkDialog, RewindDialog } from './branch-dialogs.tsx'

/** What makes another session of this one, sets it back, and takes it out. */
export function Branches({
  sessionId,
  events,
  ended,
}: {
  sessionId: string
  events: readonly SessionEvent[]
  /** An archived session is not changed any more. */
  ended: boolean
}) {
  const words = useWords()
  const navigate = useNavigate()
  const [asked, setAsked] = useState<'fork' | 'rewind' | null>(null)
  const path = `/v1/sessions/${encodeURIComponent(sessionId)}`
  const close = () => setAsked(null)
  const exports = [
    // Names of formats are the same in every language.
    ['markdown', 'Markdown'],
    ['html', 'HTML'],
    ['jsonl', words.branch.exports.jsonl],
    ['claude', words.branch.exports.claude],
  ] as const
  const begun = events.some(({ type }) => type === 'user.message')
  return (
    <section>
      <h2>{words.branch.title}</h2>
      {begun && (
        <div className="row wrap">
          <button type="button" onClick={() => setAsked('fork')}>
            {words.branch.fork}
          </button>
          {!ended && (
            <button type="button" onClick={() => setAsked('rewind')}>
              {words.branch.rewind}
            </button>
          )}
        </div>
      )}
      {/* The browser asks for these itself, with its cookie where it has one. */}
      <ul className="row wrap small downloads">
        <li>
          <a href={`${path}/workdir`} download>
            {words.branch.workdir}
          </a>
        </li>
        {exports.map(([format, name]) => (
          <li key={format}>
            <a href={`${path}/export?format=${format}`} download>
              {name}
            </a>
          </li>
        ))}
      </ul>
      {asked === 'fork' && (
        <ForkDialog
          sessionId={sessionId}
          events={events}
          forked={(id) => void navigate({ to: '/s/$id', params: { id } })}
          close={close}
        />
      )}
      {asked === 'rewind' && <RewindDialog sessionId={sessionId} events={events} close={close} />}
    </section>
  )
}
