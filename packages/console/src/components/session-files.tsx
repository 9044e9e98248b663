import { useQuery } from '@tanstack/react-query'
import type { Session } from '@troupe/protocol/session'
import { useEffect } from 'react'
import { filePath, sessionFilesQuery } from '../lib/files.ts'
import { bytes } from '../lib/format.ts'
import { queries } from '../lib/queries.ts'
import { useSpeech } from '../words/use-words.tsx'

/** What a session was given, and what its agent left for its reader; nothing where there is neither. */
export function SessionFiles({ session, turns }: { session: Session; turns: number }) {
  const { words, language } = useSpeech()
  const left = useQuery(sessionFilesQuery(session.id)).data?.data ?? []
  // What a turn left is there when it has ended.
  const { queryKey } = sessionFilesQuery(session.id)
  useEffect(() => void queries.invalidateQueries({ queryKey }), [turns, session.status])
  if (left.length === 0 && session.resources.length === 0) return null
  return (
    <section>
      <h2>{words.files.title}</h2>
      {left.length > 0 && (
        <ul className="stack small" aria-label={words.files.left} data-left="">
          {left.map((file) => (
            <li key={file.id} className="row">
              <a href={filePath(file.id, 'content')} download={file.filename} className="grow">
                {file.path ?? file.filename}
              </a>
              <span className="faint num">{bytes(file.size_bytes, language)}</span>
            </li>
          ))}
        </ul>
      )}
      {session.resources.length > 0 && (
        <>
          <p className="tiny faint">{words.files.given}</p>
          <ul className="small">
            {session.resources.map((resource) => (
              <li key={resource.id}>
                <code>{resource.path}</code>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  )
}
