import { useVirtualizer } from '@tanstack/react-virtual'
import { Link } from '@tanstack/react-router'
import type { Session } from '@troupe/protocol/session'
import { useRef } from 'react'
import { count, money } from '../lib/format.ts'
import { stateOf } from '../lib/session-state.ts'
import { tokensOf } from '../lib/tokens.ts'
import { useSpeech } from '../words/use-words.tsx'
import { titleOf } from './session-list.tsx'
import { Status } from './status.tsx'
import { Ago } from './time.tsx'

const ROW = 41

/** Sessions as a table; only the rows in view are there, between two that hold the place of the others. */
export function SessionTable({
  sessions,
  chosen,
  choose,
  empty,
}: {
  sessions: readonly Session[]
  chosen: ReadonlySet<string>
  choose: (chosen: ReadonlySet<string>) => void
  /** There is no session at all. */
  empty: boolean
}) {
  const { words, language } = useSpeech()
  const box = useRef<HTMLDivElement>(null)
  const virtualizer = useVirtualizer({
    count: sessions.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW,
    overscan: 12,
  })
  if (sessions.length === 0) return <p className="empty">{empty ? words.noSessions : words.table.none}</p>
  const rows = virtualizer.getVirtualItems()
  const before = rows[0]?.start ?? 0
  const after = virtualizer.getTotalSize() - (rows.at(-1)?.end ?? 0)
  const everything = sessions.every(({ id }) => chosen.has(id))
  const toggle = (id: string) => {
    const next = new Set(chosen)
    if (!next.delete(id)) next.add(id)
    choose(next)
  }
  return (
    <div className="table" ref={box} tabIndex={0} role="group" aria-label={words.sessions}>
      <table>
        <thead>
          <tr>
            <th>
              <input
                type="checkbox"
                aria-label={words.table.selectAll}
                checked={everything}
                onChange={() => choose(new Set(everything ? [] : sessions.map(({ id }) => id)))}
              />
            </th>
            <th>{words.table.session}</th>
            <th>{words.table.status}</th>
            <th className="hide-phone">{words.table.model}</th>
            <th className="num hide-phone">{words.table.tokens}</th>
            <th className="num hide-phone">{words.table.cost}</th>
            <th className="num hide-phone">{words.table.updated}</th>
          </tr>
        </thead>
        <tbody>
          {before > 0 && <tr style={{ height: before }} aria-hidden="true" />}
          {rows.map(({ index }) => {
            const session = sessions[index]!
            const title = titleOf(session, words)
            const { usage } = session
            return (
              <tr key={session.id}>
                <td>
                  <input
                    type="checkbox"
                    aria-label={words.table.select(title)}
                    checked={chosen.has(session.id)}
                    onChange={() => toggle(session.id)}
                  />
                </td>
                <td className="name">
                  <Link to="/s/$id" params={{ id: session.id }} className="clip">
                    {title}
                  </Link>
                </td>
                <td>
                  <Status state={stateOf(session)} />
                </td>
                <td className="hide-phone soft">{session.agent.model.id}</td>
                <td className="num hide-phone soft">{count(tokensOf(usage), language)}</td>
                <td className="num hide-phone">{money(usage.cost_usd, language)}</td>
                <td className="num hide-phone soft">
                  <Ago at={session.updated_at} />
                </td>
              </tr>
            )
          })}
          {after > 0 && <tr style={{ height: after }} aria-hidden="true" />}
        </tbody>
      </table>
    </div>
  )
}
