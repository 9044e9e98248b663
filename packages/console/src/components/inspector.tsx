import { Link } from '@tanstack/react-router'
import type { Session } from '@troupe/protocol/session'
import type { SessionEvent } from '@troupe/protocol/event'
import type { ThreadItem } from '@troupe/client/view'
import { count, duration, money } from '../lib/format.ts'
import type { LogSnapshot } from '../lib/session-log.ts'
import type { Call } from '../lib/request-text.ts'
import { stateOf } from '../lib/session-state.ts'
import { useSpeech } from '../words/use-words.tsx'
import { Branches } from './branches.tsx'
import { CopyRequest } from './copy-request.tsx'
import { SessionFiles } from './session-files.tsx'
import { Status } from './status.tsx'
import { Ago } from './time.tsx'

/** Events listed at once; the newest. */
const SHOWN = 150

/** Facts, subagents and the raw log of a session. */
export function Inspector({
  session,
  log,
  archive,
  remove,
  compact,
  call,
}: {
  session: Session
  log: LogSnapshot
  archive: () => void
  remove: () => void
  /** Null where there is no conversation yet. */
  compact: (() => void) | null
  call: () => Call
}) {
  const { words, language } = useSpeech()
  const { view, events } = log
  const usage = view.usage ?? session.usage
  const context = view.context ?? session.context
  const threads = view.items.filter((item): item is ThreadItem => item.kind === 'thread')
  const rows: [string, React.ReactNode][] = [
    [words.facts.status, <Status key="s" state={stateOf(session)} />],
    [words.facts.model, session.agent.model.id],
    [words.facts.mode, (words.modes as Record<string, string>)[session.agent.permission_mode]],
    [words.facts.turns, view.turns.length],
    [words.facts.active, duration(session.stats.active_seconds * 1000)],
    [words.facts.cost, money(usage.cost_usd, language)],
    [
      words.facts.tokens,
      words.facts.inOut(
        count(usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens, language),
        count(usage.output_tokens, language),
      ),
    ],
    ...(context
      ? [
          [
            words.facts.context,
            words.facts.contextIs(count(context.tokens, language), count(context.max_tokens, language)),
          ] as [string, string],
        ]
      : []),
    [words.facts.created, <Ago key="c" at={session.created_at} />],
    [words.facts.cwd, <code key="d">{session.cwd}</code>],
    [words.facts.id, <code key="i">{session.id}</code>],
  ]
  return (
    <aside className="inspector" aria-label={words.inspector}>
      <section>
        <h2>{words.facts.title}</h2>
        <dl>
          {rows.map(([name, value]) => (
            <div key={name} style={{ display: 'contents' }}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      {threads.length > 0 && (
        <section>
          <h2>{words.facts.subagents}</h2>
          <ul className="stack small">
            {threads.map((thread) => (
              <li key={thread.id}>
                <Link to="/s/$id" params={{ id: session.id }} search={{ thread: thread.threadId }}>
                  {thread.name}
                </Link>{' '}
                <span className="soft">{thread.description}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h2>{words.facts.actions}</h2>
        <div className="row wrap">
          <CopyRequest className="" call={call} />
          {session.status !== 'terminated' && compact && (
            <button type="button" onClick={compact} title={words.facts.compactMeans}>
              {words.facts.compact}
            </button>
          )}
          {session.status !== 'terminated' && (
            <button type="button" onClick={archive}>
              {words.archive}
            </button>
          )}
          <button type="button" className="danger" onClick={remove}>
            {words.remove}
          </button>
        </div>
      </section>
      <SessionFiles session={session} turns={view.turns.length} />
      <Branches sessionId={session.id} events={events} ended={session.status === 'terminated'} />
      <section>
        <h2>{words.facts.events}</h2>
        {events.length > SHOWN && <p className="tiny faint">{words.facts.showingLast(SHOWN, events.length)}</p>}
        <div className="raw" tabIndex={0} role="group" aria-label={words.facts.events}>
          {events.slice(-SHOWN).map((event) => (
            <RawEvent key={event.seq} event={event} />
          ))}
        </div>
      </section>
    </aside>
  )
}

function RawEvent({ event }: { event: SessionEvent }) {
  return (
    <details>
      <summary>
        <span className="faint num">{event.seq}</span>
        <span className="mono clip">{event.type}</span>
      </summary>
      <pre>{JSON.stringify(event, null, 2)}</pre>
    </details>
  )
}
