import { Link } from '@tanstack/react-router'
import type { ThreadView } from '@troupe/client/view'
import { duration } from '../lib/format.ts'
import { useWords } from '../words/use-words.tsx'
import { Icon } from './icon.tsx'

/** Whose transcript this is, and the way back to the session's own. */
export function ThreadBar({ sessionId, thread }: { sessionId: string; thread: ThreadView }) {
  const words = useWords()
  const took = thread.endedAt ? duration(Date.parse(thread.endedAt) - Date.parse(thread.startedAt)) : null
  return (
    <nav className="thread-bar row wrap" aria-label={words.subagent} data-thread={thread.id}>
      <Link
        to="/s/$id"
        params={{ id: sessionId }}
        search={thread.parentId ? { thread: thread.parentId } : {}}
        className="button"
      >
        <Icon name="back" />
        {words.threads.back}
      </Link>
      <strong>{thread.name}</strong>
      <span className="soft clip grow">{thread.description}</span>
      <span className={thread.status === 'running' ? 'status running' : 'status'}>
        {thread.status === 'running' ? words.status.running : [words.threads.ended, took].filter(Boolean).join(' · ')}
      </span>
    </nav>
  )
}
