import { useQuery } from '@tanstack/react-query'
import type { Deployment } from '@troupe/protocol/deployment'
import { useState } from 'react'
import { agentsQuery } from '../lib/agents.ts'
import { environmentsQuery } from '../lib/environments.ts'
import { queries } from '../lib/queries.ts'
import {
  centsOf,
  draftOfSchedule,
  emptySchedule,
  promptOf,
  scheduleBody,
  type ScheduleDraft,
} from '../lib/schedule-draft.ts'
import { changeSchedule, createSchedule, schedulePath, SCHEDULES_PATH, schedulesKey } from '../lib/schedules.ts'
import { useWords } from '../words/use-words.tsx'
import { CronPreview, cronProblem } from './cron-preview.tsx'
import { EnvironmentChoice } from './environment-choice.tsx'
import { FormDialog } from './form-dialog.tsx'

/** Expressions to begin with; what each means stands below the field. */
const EXAMPLES = ['0 * * * *', '0 9 * * *', '0 9 * * 1-5', '0 9 * * 1', '0 9 1 * *'] as const

/** Makes a schedule, or changes `saved`. */
export function ScheduleForm({ saved, close }: { saved: Deployment | null; close: () => void }) {
  const words = useWords()
  const agents = useQuery(agentsQuery(100)).data?.data ?? []
  const environments = useQuery(environmentsQuery(100)).data?.data ?? []
  const [draft, setDraft] = useState(() => (saved ? draftOfSchedule(saved) : emptySchedule()))
  const change = (fields: Partial<ScheduleDraft>) => setDraft((before) => ({ ...before, ...fields }))
  const set = (name: keyof ScheduleDraft) => (event: { target: { value: string } }) =>
    change({ [name]: event.target.value })
  const shown = saved === null || promptOf(saved) !== null
  const newest = agents.find(({ id }) => id === draft.agentId)
  const pinned = saved?.agent.id === draft.agentId ? saved.agent.version : null
  const ready =
    draft.name.trim() !== '' &&
    draft.agentId !== '' &&
    centsOf(draft.budget) !== undefined &&
    (!shown || draft.prompt.trim() !== '') &&
    (!draft.clock || cronProblem(draft.expression, draft.timezone) === null)
  const body = () => scheduleBody(draft, saved)
  return (
    <FormDialog
      title={saved ? saved.name : words.schedules.add}
      action={words.save}
      className="wide"
      ready={ready}
      call={() => ({ method: 'POST', path: saved ? schedulePath(saved.id) : SCHEDULES_PATH, body: body() })}
      submit={async () => {
        await (saved ? changeSchedule(saved.id, body()) : createSchedule(body()))
        await queries.invalidateQueries({ queryKey: schedulesKey })
      }}
      close={close}
    >
      <div className="pair">
        <label className="field">
          <span>{words.agents.name}</span>
          <input autoFocus required maxLength={256} value={draft.name} onChange={set('name')} />
        </label>
        <label className="field">
          <span>{words.agents.use}</span>
          <select required value={draft.agentId} onChange={set('agentId')}>
            <option value="">{words.schedules.choose}</option>
            {draft.agentId !== '' && !newest && <option value={draft.agentId}>{draft.agentId}</option>}
            {agents.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      {newest && pinned !== null && newest.version > pinned && (
        <label className="row small">
          <input type="checkbox" checked={draft.newest} onChange={() => change({ newest: !draft.newest })} />
          {words.schedules.useNewest(newest.version, pinned)}
        </label>
      )}
      {shown ? (
        <label className="field">
          <span>{words.schedules.prompt}</span>
          <textarea required rows={4} value={draft.prompt} onChange={set('prompt')} />
        </label>
      ) : (
        <p className="small soft">{words.schedules.promptKept}</p>
      )}
      <label className="row small">
        <input type="checkbox" checked={draft.clock} onChange={() => change({ clock: !draft.clock })} />
        {words.schedules.byClock}
      </label>
      {draft.clock && (
        <>
          <div className="pair">
            <label className="field">
              <span>{words.schedules.expression}</span>
              <input
                required
                className="mono"
                list="cron-examples"
                maxLength={256}
                value={draft.expression}
                spellCheck={false}
                onChange={set('expression')}
              />
              <datalist id="cron-examples">
                {EXAMPLES.map((each) => (
                  <option key={each} value={each} />
                ))}
              </datalist>
              <span className="tiny soft">{words.schedules.expressionHint}</span>
            </label>
            <label className="field">
              <span>{words.schedules.timezone}</span>
              <input required list="timezones" maxLength={64} value={draft.timezone} onChange={set('timezone')} />
              <datalist id="timezones">
                {['UTC', ...Intl.supportedValuesOf('timeZone')].map((zone) => (
                  <option key={zone} value={zone} />
                ))}
              </datalist>
            </label>
          </div>
          <CronPreview expression={draft.expression} timezone={draft.timezone} />
          <div className="pair">
            <label className="field">
              <span>{words.schedules.jitter}</span>
              <input type="number" min={0} max={3600} value={draft.jitter} onChange={set('jitter')} />
              <span className="tiny soft">{words.schedules.jitterHint}</span>
            </label>
            <label className="field">
              <span>{words.schedules.missed}</span>
              <select value={draft.missed} onChange={set('missed')}>
                {(['latest', 'skip'] as const).map((each) => (
                  <option key={each} value={each}>
                    {words.schedules.missedOf[each]}
                  </option>
                ))}
              </select>
            </label>
          </div>
        </>
      )}
      <div className="pair">
        <label className="field">
          <span>{words.schedules.cwd}</span>
          <input
            className="mono"
            maxLength={4096}
            spellCheck={false}
            value={draft.cwd}
            placeholder="/srv/project"
            onChange={set('cwd')}
          />
          <span className="tiny soft">{words.schedules.cwdHint}</span>
        </label>
        <label className="field">
          <span>{words.schedules.budget}</span>
          <input
            inputMode="decimal"
            pattern="\d{1,9}(\.\d{1,2})?"
            value={draft.budget}
            placeholder="1.00"
            aria-invalid={centsOf(draft.budget) === undefined}
            onChange={set('budget')}
          />
          <span className="tiny soft">{words.schedules.budgetHint}</span>
        </label>
      </div>
      <EnvironmentChoice environments={environments} chosen={draft.environmentId} change={set('environmentId')} />
    </FormDialog>
  )
}
