import { useQuery, useQueryClient } from '@tanstack/react-query'
import { textOf } from '@troupe/client/content'
import { useEffect, useState } from 'react'
import { cancelInput, editInput, type PendingInput } from '../lib/api.ts'
import { inputsQuery } from '../lib/queries.ts'
import { useWords } from '../words/use-words.tsx'
import { Icon } from './icon.tsx'
import { Problem } from './problem.tsx'

/** Inputs that the agent has not taken: to read, edit, move and cancel. `seq` is asked again when the log has grown. */
export function PendingInputs({ sessionId, seq, running }: { sessionId: string; seq: number; running: boolean }) {
  const words = useWords()
  const cache = useQueryClient()
  const { data } = useQuery(inputsQuery(sessionId))
  const [editing, setEditing] = useState<{ id: string; text: string } | null>(null)
  const [error, setError] = useState<unknown>(null)
  const refresh = () => cache.invalidateQueries({ queryKey: ['inputs', sessionId] })
  useEffect(() => {
    if (cache.getQueryData(['inputs', sessionId]) !== null) void refresh()
    // Only the log's growth matters here.
  }, [seq])
  // A first input that is about to be taken is no news.
  const waiting = (data?.data ?? []).filter(() => running)
  if (waiting.length === 0 && error === null) return null

  const act = async (work: Promise<unknown>) => {
    setError(null)
    setEditing(null)
    try {
      await work
    } catch (caught) {
      setError(caught)
    }
    await refresh()
  }
  const save = (input: PendingInput) => act(editInput(sessionId, input.event_id, { content: editing!.text }))
  return (
    <section className="pending" aria-label={words.composer.pending}>
      <h2 className="tiny faint">{words.composer.pending}</h2>
      <ol>
        {waiting.map((input) => (
          <li key={input.event_id}>
            {editing?.id === input.event_id ? (
              <>
                <input
                  autoFocus
                  className="grow"
                  aria-label={words.edit}
                  value={editing.text}
                  onChange={(event) => setEditing({ id: input.event_id, text: event.target.value })}
                  onKeyDown={(event) => {
                    if (event.key === 'Enter') void save(input)
                  }}
                />
                <button type="button" onClick={() => void save(input)}>
                  {words.save}
                </button>
              </>
            ) : (
              <>
                <span className="grow clip">{textOf(input.content)}</span>
                {input.delivery === 'steer' && <span className="tiny faint">{words.composer.steering}</span>}
                <button
                  type="button"
                  className="plain"
                  onClick={() => setEditing({ id: input.event_id, text: textOf(input.content) })}
                >
                  {words.edit}
                </button>
                {input.position > 1 && (
                  <button
                    type="button"
                    className="plain"
                    aria-label={words.composer.moveUp}
                    onClick={() => void act(editInput(sessionId, input.event_id, { position: input.position - 1 }))}
                  >
                    <Icon name="up" />
                  </button>
                )}
              </>
            )}
            <button
              type="button"
              className="plain danger"
              onClick={() => void act(cancelInput(sessionId, input.event_id))}
            >
              {words.cancel}
            </button>
          </li>
        ))}
      </ol>
      {error !== null && <Problem error={error} />}
    </section>
  )
}
