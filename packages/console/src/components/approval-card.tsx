import { useQuery, useQueryClient } from '@tanstack/react-query'
import { TroupeError } from '@troupe/client/errors'
import { Link } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { type Approval, type Decision, decide, retrieveApproval } from '../lib/api.ts'
import { relative } from '../lib/format.ts'
import { noteAnswered } from '../lib/lingering.ts'
import { recall } from '../lib/memory.ts'
import { sessionQuery } from '../lib/queries.ts'
import { reasonInWords } from '../lib/reasons.ts'
import { useNow } from '../lib/use-now.ts'
import { useSpeech } from '../words/use-words.tsx'
import type { Words } from '../words/en.ts'
import { CopyRequest } from './copy-request.tsx'
import { Problem } from './problem.tsx'
import { QuestionForm } from './question-form.tsx'
import { titleOf } from './session-list.tsx'
import { fieldsOf, text } from '../lib/fields.ts'
import { ToolInput } from './tool-input.tsx'

/** What would be a pity to allow by a slip of the hand. */
const DANGEROUS =
  /\brm\s+-\w*[rf]|\bsudo\b|\bdd\s|\bmkfs|--force\b|\bpush\s+-f\b|\|\s*(ba|z)?sh\b|\bchmod\s+-R|\breset\s+--hard|\bdrop\s+table\b/i

/** The field of a tool's input that a person would edit; null: the whole input, as JSON. */
const EDITABLE: Record<string, string> = { Bash: 'command', Write: 'content', Edit: 'new_string' }

function questionOf(words: Words, { kind, tool_name }: Approval, session: string | null): string {
  const title = session === null ? '' : words.ask.inSession(session)
  if (kind === 'question') return words.ask.question
  if (kind === 'custom_tool_result') return words.ask.custom(tool_name)
  const ask = { Bash: words.ask.Bash, Write: words.ask.Write, Edit: words.ask.Edit }[tool_name]
  return ask ? ask(title) : words.ask.other(tool_name, title)
}

/** One thing to decide. `named`: says which session it is of. `gone`: somebody else has decided it, which it says. Keys work while the focus is in it, or by `data-key`. */
export function ApprovalCard({
  approval,
  named = false,
  gone = false,
}: {
  approval: Approval
  named?: boolean
  gone?: boolean
}) {
  const { words, language } = useSpeech()
  const cache = useQueryClient()
  const session = useQuery({ ...sessionQuery(approval.session_id), enabled: named, refetchInterval: false })
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  /** What somebody else answered first. */
  const [decided, setDecided] = useState<Approval | null>(null)

  useEffect(() => {
    if (gone) void retrieveApproval(approval.id).then(setDecided, () => null)
  }, [gone, approval.id])

  const answer = async (decision: Decision) => {
    setBusy(true)
    setError(null)
    const actor = recall('actor')
    try {
      noteAnswered(approval.id, true)
      await decide(approval.id, { ...decision, ...(actor && { actor }) })
      await cache.invalidateQueries({ queryKey: ['approvals'] })
    } catch (caught) {
      noteAnswered(approval.id, false)
      setError(caught)
      if (caught instanceof TroupeError && caught.code === 'approval_not_pending') {
        setDecided(await retrieveApproval(approval.id).catch(() => null))
        await cache.invalidateQueries({ queryKey: ['approvals'] })
      }
    } finally {
      setBusy(false)
    }
  }

  return (
    <article className="ask" data-approval={approval.id} aria-labelledby={`ask-${approval.id}`}>
      <header>
        <h2 id={`ask-${approval.id}`} className="grow">
          {questionOf(words, approval, named && session.data ? titleOf(session.data, words) : null)}
        </h2>
        {named && (
          <Link to="/s/$id" params={{ id: approval.session_id }} className="small">
            {words.ask.open}
          </Link>
        )}
      </header>
      {!gone && approval.expires_at && <Deadline from={approval.created_at} to={approval.expires_at} />}
      <div className="inside">
        {gone ? (
          <ToolInput name={approval.tool_name} input={approval.input} />
        ) : approval.kind === 'question' ? (
          <QuestionForm input={approval.input} busy={busy} answer={answer} />
        ) : approval.kind === 'custom_tool_result' ? (
          <CustomResult approval={approval} busy={busy} answer={answer} />
        ) : (
          <Confirmation approval={approval} busy={busy} answer={answer} />
        )}
        {(gone || error !== null) &&
          (gone || (error instanceof TroupeError && error.code === 'approval_not_pending') ? (
            <p className="notice" role="alert" data-elsewhere="">
              {decided?.decided_at && (decided.status === 'allowed' || decided.status === 'denied')
                ? words.ask.answered(
                    decided.actor,
                    decided.status === 'allowed',
                    relative(Date.parse(decided.decided_at), Date.now(), language),
                  )
                : words.ask.elsewhere}
            </p>
          ) : (
            <Problem error={error} />
          ))}
        {!gone && (
          <CopyRequest
            className="plain tiny"
            call={() => ({ method: 'POST', path: `/v1/approvals/${approval.id}`, body: { result: 'allow' } })}
          />
        )}
      </div>
    </article>
  )
}

export interface Answering {
  busy: boolean
  answer: (decision: Decision) => Promise<void>
}

function Confirmation({ approval, busy, answer }: { approval: Approval } & Answering) {
  const { words } = useSpeech()
  const [mode, setMode] = useState<'show' | 'edit' | 'deny'>('show')
  const [draft, setDraft] = useState('')
  const [reason, setReason] = useState('')
  /** The button that was pressed for something dangerous: the same one, pressed again, means it. */
  const [sure, setSure] = useState<'once' | 'session' | 'always' | null>(null)
  const [bad, setBad] = useState(false)
  const editor = useRef<HTMLTextAreaElement>(null)
  const fields = fieldsOf(approval.input)
  const field = EDITABLE[approval.tool_name] ?? null
  const dangerous = DANGEROUS.test(mode === 'edit' ? draft : text(fields.command))

  const edit = () => {
    setDraft(field ? text(fields[field]) : JSON.stringify(fields, null, 2))
    setMode('edit')
    requestAnimationFrame(() => editor.current?.focus())
  }
  const allow = (remember?: 'session' | 'always') => {
    const which = remember ?? 'once'
    if (dangerous && sure !== which) return setSure(which)
    if (mode !== 'edit') return void answer({ result: 'allow', ...(remember && { remember }) })
    try {
      const updated = field ? { ...fields, [field]: draft } : (JSON.parse(draft) as unknown)
      void answer({ result: 'allow', updated_input: updated })
    } catch {
      setBad(true)
    }
  }

  return (
    <>
      {mode === 'edit' ? (
        <label className="field">
          <span>{field ?? words.ask.input}</span>
          <textarea
            ref={editor}
            value={draft}
            rows={Math.min(12, Math.max(2, draft.split('\n').length))}
            spellCheck={false}
            onChange={(event) => {
              setDraft(event.target.value)
              setBad(false)
              setSure(null)
            }}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) allow()
              if (event.key === 'Escape') {
                event.stopPropagation()
                setMode('show')
              }
            }}
          />
          {bad && <span className="small status failed">{words.ask.badJson}</span>}
        </label>
      ) : (
        <ToolInput name={approval.tool_name} input={approval.input} />
      )}
      {approval.reason && <p className="small soft">{reasonInWords(approval.reason, words)}</p>}
      {mode === 'deny' ? (
        <form
          className="row wrap"
          onSubmit={(event) => {
            event.preventDefault()
            void answer({ result: 'deny', ...(reason.trim() && { deny_message: reason.trim() }) })
          }}
        >
          <input
            className="grow"
            autoFocus
            value={reason}
            placeholder={words.ask.denyReason}
            aria-label={words.ask.denyReason}
            onChange={(event) => setReason(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Escape') return
              event.stopPropagation()
              setMode('show')
            }}
          />
          <button className="danger" disabled={busy}>
            {words.ask.deny}
          </button>
          <button type="button" className="plain" onClick={() => setMode('show')}>
            {words.cancel}
          </button>
        </form>
      ) : (
        <div className="buttons">
          <button type="button" className="primary" data-key="a" disabled={busy} onClick={() => allow()}>
            {sure === 'once' ? words.ask.sure : mode === 'edit' ? words.ask.allowEdited : words.ask.allow} <kbd>a</kbd>
          </button>
          {mode === 'show' && approval.remember_rule && (
            <>
              <button type="button" disabled={busy} onClick={() => allow('session')}>
                {sure === 'session' ? words.ask.sure : words.ask.session}
              </button>
              <button
                type="button"
                disabled={busy}
                title={words.ask.alwaysMeans(approval.remember_rule)}
                onClick={() => allow('always')}
              >
                {sure === 'always' ? words.ask.sure : words.ask.always}
              </button>
            </>
          )}
          {mode === 'show' ? (
            <button type="button" data-key="e" disabled={busy} onClick={edit}>
              {words.edit} <kbd>e</kbd>
            </button>
          ) : (
            <button type="button" className="plain" onClick={() => setMode('show')}>
              {words.cancel}
            </button>
          )}
          <button type="button" className="danger" data-key="d" disabled={busy} onClick={() => setMode('deny')}>
            {words.ask.deny} <kbd>d</kbd>
          </button>
        </div>
      )}
      {mode === 'show' && approval.remember_rule && (
        <p className="tiny faint">{words.ask.alwaysMeans(approval.remember_rule)}</p>
      )}
    </>
  )
}

function CustomResult({ approval, busy, answer }: { approval: Approval } & Answering) {
  const { words } = useSpeech()
  const [content, setContent] = useState('')
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault()
        void answer({ result: 'allow', content })
      }}
    >
      <ToolInput name={approval.tool_name} input={approval.input} />
      <textarea
        value={content}
        rows={3}
        aria-label={words.tool.result}
        placeholder={words.tool.result}
        onChange={(event) => setContent(event.target.value)}
      />
      <div className="buttons">
        <button className="primary" disabled={busy || content.trim() === ''}>
          {words.ask.send}
        </button>
        <button type="button" className="danger" disabled={busy} onClick={() => void answer({ result: 'deny' })}>
          {words.ask.deny}
        </button>
      </div>
    </form>
  )
}

/** Words, and a rule that shrinks. */
function Deadline({ from, to }: { from: string; to: string }) {
  const { words, language } = useSpeech()
  const now = useNow(1_000)
  const [start, end] = [Date.parse(from), Date.parse(to)]
  const left = Math.max(0, Math.min(1, (end - now) / Math.max(1, end - start)))
  return (
    <div>
      <svg className="deadline" viewBox="0 0 100 2" preserveAspectRatio="none" aria-hidden="true">
        <rect width={left * 100} height="2" />
      </svg>
      <p className="tiny soft" style={{ padding: '6px 16px 0' }}>
        {words.ask.deadline(relative(end, now, language))}
      </p>
    </div>
  )
}
