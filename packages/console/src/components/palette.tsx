import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { sessionsQuery } from '../lib/queries.ts'
import { useWords } from '../words/use-words.tsx'
import { Dialog } from './confirm-dialog.tsx'
import { titleOf } from './session-list.tsx'

/** Goes anywhere by name. */
export function Palette({ close, sent }: { close: () => void; sent: () => void }) {
  const words = useWords()
  const navigate = useNavigate()
  const sessions = useQuery(sessionsQuery(30)).data?.data ?? []
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const targets = [
    { name: words.newSession, go: () => navigate({ to: '/' }) },
    { name: words.approvals, go: () => navigate({ to: '/approvals' }) },
    { name: words.overview, go: () => navigate({ to: '/overview' }) },
    { name: words.agents.title, go: () => navigate({ to: '/agents' }) },
    { name: words.agents.add, go: () => navigate({ to: '/agents/$id', params: { id: 'new' } }) },
    { name: words.schedules.title, go: () => navigate({ to: '/schedules' }) },
    { name: words.files.title, go: () => navigate({ to: '/files' }) },
    { name: words.webhooks.title, go: () => navigate({ to: '/webhooks' }) },
    { name: words.access.title, go: () => navigate({ to: '/keys' }) },
    { name: words.skills.title, go: () => navigate({ to: '/skills' }) },
    { name: words.environments.title, go: () => navigate({ to: '/environments' }) },
    { name: words.audit.title, go: () => navigate({ to: '/audit' }) },
    { name: words.sent.title, go: sent },
    { name: words.settings, go: () => navigate({ to: '/settings' }) },
    ...sessions.map((session) => ({
      name: titleOf(session, words),
      go: () => navigate({ to: '/s/$id', params: { id: session.id } }),
    })),
  ]
  const shown = targets.filter(({ name }) => name.toLowerCase().includes(text.trim().toLowerCase())).slice(0, 10)
  const run = (index: number) => {
    close()
    void shown[index]?.go()
  }
  return (
    <Dialog title={words.palette} close={close} className="palette">
      <input
        autoFocus
        value={text}
        placeholder={words.palette}
        aria-label={words.palette}
        onChange={(event) => {
          setText(event.target.value)
          setAt(0)
        }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown') setAt(Math.min(shown.length - 1, at + 1))
          else if (event.key === 'ArrowUp') setAt(Math.max(0, at - 1))
          else if (event.key === 'Enter') run(at)
          else return
          event.preventDefault()
        }}
      />
      <ul>
        {shown.map(({ name }, index) => (
          <li key={`${index} ${name}`} data-on={index === at}>
            <button type="button" onClick={() => run(index)}>
              <span className="clip">{name}</span>
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  )
}
