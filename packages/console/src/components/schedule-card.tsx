import { Link } from '@tanstack/react-router'
import type { Deployment } from '@troupe/protocol/deployment'
import { useState } from 'react'
import { cronInWords } from '../lib/cron-words.ts'
import { queries } from '../lib/queries.ts'
import { actOnSchedule, runNow, schedulePath, schedulesKey } from '../lib/schedules.ts'
import { useSpeech } from '../words/use-words.tsx'
import { FormDialog } from './form-dialog.tsx'
import { Problem } from './problem.tsx'
import { ScheduleRuns } from './schedule-runs.tsx'
import { Ago } from './time.tsx'

/** A schedule: what it starts and when, what can be done with it, and what it has run. */
export function ScheduleCard({
  schedule,
  agentName,
  edit,
}: {
  schedule: Deployment
  /** Of its agent; the id where the list does not have it. */
  agentName: string
  edit: () => void
}) {
  const { words, language } = useSpeech()
  const [open, setOpen] = useState(false)
  const [archiving, setArchiving] = useState(false)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const clock = schedule.schedule
  const paused = schedule.status === 'paused'
  const archived = schedule.archived_at !== null
  const next = paused ? undefined : clock?.upcoming_runs_at[0]
  const act = async (what: () => Promise<unknown>) => {
    setBusy(true)
    setError(null)
    try {
      await what()
    } catch (caught) {
      setError(caught)
    }
    setBusy(false)
    await queries.invalidateQueries({ queryKey: schedulesKey })
  }
  const run = () =>
    act(async () => {
      await runNow(schedule.id)
      // What came of it is the newest run.
      setOpen(true)
    })
  const reason = schedule.paused_reason
  return (
    <li className="endpoint stack" data-schedule={schedule.id}>
      <div className="row wrap">
        <h2 className="grow">{schedule.name}</h2>
        <span className={archived ? 'status' : paused ? 'status waiting' : 'status done'}>
          {archived ? words.status.archived : clock ? words.schedules.status[schedule.status] : words.schedules.byHand}
        </span>
      </div>
      {clock && (
        <p>
          {inWords(clock.expression, words.schedules, language)} <span className="soft">{clock.timezone}</span>
        </p>
      )}
      {!archived && reason?.type === 'error' && (
        <p className="notice bad">{words.schedules.pausedByError(String(errorType(reason)))}</p>
      )}
      <p className="row wrap small soft">
        <Link to="/agents/$id" params={{ id: schedule.agent.id }}>
          {agentName}
        </Link>
        <span>{words.agents.version(schedule.agent.version)}</span>
        {next !== undefined && (
          <span>
            {words.schedules.next} <Ago at={next} future />
          </span>
        )}
        {clock && (
          <span>
            {clock.last_run_at === null ? (
              words.schedules.never
            ) : (
              <>
                {words.schedules.last} <Ago at={clock.last_run_at} />
              </>
            )}
          </span>
        )}
      </p>
      {error !== null && <Problem error={error} />}
      <div className="row wrap">
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          {words.schedules.history}
        </button>
        {!archived && (
          <>
            <button type="button" disabled={busy} onClick={() => void run()}>
              {words.schedules.runNow}
            </button>
            {clock && (
              <button
                type="button"
                disabled={busy}
                onClick={() => void act(() => actOnSchedule(schedule.id, paused ? 'unpause' : 'pause'))}
              >
                {paused ? words.schedules.unpause : words.schedules.pause}
              </button>
            )}
            <button type="button" disabled={busy} onClick={edit}>
              {words.edit}
            </button>
            <button type="button" className="danger" disabled={busy} onClick={() => setArchiving(true)}>
              {words.archive}
            </button>
          </>
        )}
      </div>
      {open && <ScheduleRuns id={schedule.id} />}
      {archiving && (
        <FormDialog
          title={words.agents.archiveTitle(schedule.name)}
          action={words.archive}
          danger
          call={() => ({ method: 'POST', path: schedulePath(schedule.id, 'archive'), body: {} })}
          submit={async () => {
            await actOnSchedule(schedule.id, 'archive')
            await queries.invalidateQueries({ queryKey: schedulesKey })
          }}
          close={() => setArchiving(false)}
        >
          <p>{words.schedules.archiveMeans}</p>
        </FormDialog>
      )}
    </li>
  )
}

const errorType = (reason: Record<string, unknown>) => (reason.error as { type?: unknown } | undefined)?.type ?? ''

/** In words; an expression of a later server as it stands. */
function inWords(expression: string, words: Parameters<typeof cronInWords>[1], language: string): string {
  try {
    return cronInWords(expression, words, language)
  } catch {
    return expression
  }
}
