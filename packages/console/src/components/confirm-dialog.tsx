import { type ReactNode, useEffect, useRef } from 'react'
import { useWords } from '../words/use-words.tsx'

/** A modal dialog; closed by Escape, by its buttons, and by what `close` decides. */
export function Dialog({
  title,
  children,
  close,
  className,
}: {
  title: string
  children: ReactNode
  close: () => void
  className?: string | undefined
}) {
  const box = useRef<HTMLDialogElement>(null)
  useEffect(() => box.current?.showModal(), [])
  return (
    <dialog
      ref={box}
      className={className}
      aria-label={title}
      onClose={close}
      onKeyDown={(event) => event.stopPropagation()}
    >
      {children}
    </dialog>
  )
}

/** Asks once more before something that cannot be undone. */
export function ConfirmDialog({
  question,
  action,
  confirm,
  close,
}: {
  question: string
  action: string
  confirm: () => void
  close: () => void
}) {
  const words = useWords()
  return (
    <Dialog title={action} close={close}>
      <div className="body">
        <p>{question}</p>
        <div className="row">
          <span className="grow" />
          <button type="button" onClick={close}>
            {words.cancel}
          </button>
          <button
            type="button"
            className="danger"
            onClick={() => {
              close()
              confirm()
            }}
          >
            {action}
          </button>
        </div>
      </div>
    </Dialog>
  )
}
