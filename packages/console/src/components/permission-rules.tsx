import type { PermissionRule } from '@troupe/protocol/agent'
import { POLICIES, type PolicyName } from '../lib/agent-draft.ts'
import { useWords } from '../words/use-words.tsx'

/** Which calls run, ask or are refused, by their tool and what they are about. */
export function PermissionRules({
  rules,
  change,
}: {
  rules: PermissionRule[]
  change: (rules: PermissionRule[]) => void
}) {
  const { agents, remove } = useWords()
  const set = (index: number, fields: Partial<PermissionRule>) =>
    change(rules.with(index, { ...rules[index]!, ...fields }))
  return (
    <fieldset className="plain-set">
      <legend>{agents.rules}</legend>
      {rules.map(({ rule, policy }, index) => (
        // Two rules may say the same while one is being written.
        <div key={index} className="server-row rule-row">
          <input
            aria-label={agents.rule}
            className="mono"
            placeholder="Bash(git push *)"
            required
            maxLength={2048}
            spellCheck={false}
            value={rule}
            onChange={(event) => set(index, { rule: event.target.value })}
          />
          <select
            aria-label={agents.rulePolicy(rule)}
            value={policy}
            onChange={(event) => set(index, { policy: event.target.value as PolicyName })}
          >
            {POLICIES.map((each) => (
              <option key={each} value={each}>
                {agents.policies[each]}
              </option>
            ))}
          </select>
          <button
            type="button"
            className="plain"
            aria-label={agents.removeRule(rule)}
            onClick={() => change(rules.toSpliced(index, 1))}
          >
            {remove}
          </button>
        </div>
      ))}
      <p className="row wrap">
        <button
          type="button"
          onClick={() => change([...rules, { rule: '', policy: 'always_ask' }])}
          disabled={rules.length >= 256}
        >
          {agents.addRule}
        </button>
        <span className="tiny soft grow">{agents.rulesHint}</span>
      </p>
    </fieldset>
  )
}
