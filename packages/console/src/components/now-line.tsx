import type { SessionView, ToolItem } from '@troupe/client/view'
import type { LogSnapshot } from '../lib/session-log.ts'
import { count, duration, money } from '../lib/format.ts'
import type { State } from '../lib/session-state.ts'
import { tokensOf } from '../lib/tokens.ts'
import { useNow } from '../lib/use-now.ts'
import { useSpeech } from '../words/use-words.tsx'
import type { Words } from '../words/en.ts'
import { Status } from './status.tsx'
import { targetOf, verbOf } from './tool-call.tsx'

/** What happens now, for how long, and what it has cost so far; and how the connection stands. */
export function NowLine({ log, state, queued }: { log: LogSnapshot; state: State; queued: number | null }) {
  const { words, language } = useSpeech()
  const { view, connection, caughtUp } = log
  const running = state === 'running'
  const now = useNow(500, running)
  const turn = view.turns.findLast(({ id }) => id === view.currentTurnId)
  const since = turn?.startedAt ? Date.parse(turn.startedAt) : null
  const { usage, context } = view
  return (
    <div className="now">
      <Status state={state} />
      <span className="clip" data-now="">
        {running && doing(view, words)}
        {queued !== null && words.now.queued(queued)}
      </span>
      {running && since !== null && <span>{duration(now - since)}</span>}
      <span className="end">
        <span role="status" data-connection={connection}>
          {connection === 'lost' && words.reconnecting}
          {connection === 'connecting' && words.connecting}
          {caughtUp !== null && words.caughtUp(caughtUp)}
        </span>
        {context && (
          <span
            className={context.percent >= 80 ? 'status failed' : 'hide-phone'}
            title={words.now.contextOf(count(context.tokens, language), count(context.max_tokens, language))}
            data-context=""
          >
            {words.now.context(new Intl.NumberFormat(language, { maximumFractionDigits: 0 }).format(context.percent))}
          </span>
        )}
        {usage && (
          <>
            <span className="hide-phone">{words.now.tokens(count(tokensOf(usage), language))}</span>
            <span>{money(usage.cost_usd, language)}</span>
          </>
        )}
      </span>
    </div>
  )
}

function doing({ items, preview }: SessionView, words: Words): string {
  if (preview) return preview.type === 'agent.thinking' ? words.now.thinking : words.now.writing
  const tool = items.findLast((item): item is ToolItem => item.kind === 'tool' && !item.result && item.denied === null)
  return tool ? words.now.tool(verbOf(words, tool), targetOf(tool)) : words.now.working
}
