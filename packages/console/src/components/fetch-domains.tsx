import { FETCH_BOUNDS, type FetchBound, type FetchDraft, lacksDomains } from '../lib/fetch-domains.ts'
import { useWords } from '../words/use-words.tsx'

/** Where web pages may be fetched from. */
export function FetchDomains({ draft, change }: { draft: FetchDraft; change: (draft: FetchDraft) => void }) {
  const { agents } = useWords()
  const wrong = lacksDomains(draft)
  return (
    <div className="server-row fetch-row">
      <select
        aria-label={agents.fetch}
        value={draft.bound}
        onChange={(event) => change({ ...draft, bound: event.target.value as FetchBound })}
      >
        {FETCH_BOUNDS.map((bound) => (
          <option key={bound} value={bound}>
            {agents.fetchBounds[bound]}
          </option>
        ))}
      </select>
      {draft.bound !== 'any' && (
        <label className="field">
          <input
            aria-label={agents.fetchDomains}
            className="mono"
            placeholder="docs.example.com, example.org/guide"
            spellCheck={false}
            aria-invalid={wrong}
            value={draft.domains}
            onChange={(event) => change({ ...draft, domains: event.target.value })}
          />
          <span className={wrong ? 'tiny bad-text' : 'tiny soft'} role={wrong ? 'alert' : undefined}>
            {wrong ? agents.fetchNone : agents.fetchHint}
          </span>
        </label>
      )}
    </div>
  )
}
