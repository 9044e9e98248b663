import { type FormEvent, type ReactNode, useState } from 'react'
import { useWords } from '../words/use-words.tsx'
import { Dialog } from './confirm-dialog.tsx'
import type { Call } from '../lib/request-text.ts'
import { CopyRequest } from './copy-request.tsx'
import { Problem } from './problem.tsx'

/** A form in a dialog that stays, with what went wrong, until its request is done. */
export function FormDialog({
  title,
  action,
  danger = false,
  className,
  ready = true,
  call,
  submit,
  close,
  children,
}: {
  title: string
  action: string
  danger?: boolean
  className?: string
  ready?: boolean
  call: () => Call
  submit: () => Promise<unknown>
  close: () => void
  children: ReactNode
}) {
  const words = useWords()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const send = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    try {
      await submit()
      close()
    } catch (caught) {
      setError(caught)
      setBusy(false)
    }
  }
  return (
    <Dialog title={title} close={close} className={className}>
      <form className="body" onSubmit={(event) => void send(event)}>
        <h2>{title}</h2>
        {children}
        {error !== null && <Problem error={error} />}
        <div className="row wrap">
          <CopyRequest call={call} />
          <span className="grow" />
          <button type="button" onClick={close}>
            {words.cancel}
          </button>
          <button type="submit" className={danger ? 'danger' : 'primary'} disabled={busy || !ready}>
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
