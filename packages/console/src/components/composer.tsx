import { useState } from 'react'
import { SEND_KEY } from '../lib/keys.ts'
import { useWords } from '../words/use-words.tsx'

export type Delivery = 'queue' | 'steer' | 'interrupt'

/** The next message. While the agent works it says how the message is to arrive, and how to stop. */
export function Composer({
  running,
  canSteer,
  archived,
  send,
  interrupt,
}: {
  running: boolean
  canSteer: boolean
  archived: boolean
  /** Resolves to whether the server took it. */
  send: (text: string, delivery: Delivery) => Promise<boolean>
  interrupt: (mode: 'graceful' | 'now') => void
}) {
  const words = useWords()
  const [text, setText] = useState('')
  const [delivery, setDelivery] = useState<Delivery>('queue')
  const [busy, setBusy] = useState(false)

  if (archived) return <p className="notice">{words.composer.archived}</p>
  const submit = async () => {
    if (text.trim() === '' || busy) return
    setBusy(true)
    if (await send(text, running ? delivery : 'queue')) setText('')
    setBusy(false)
  }
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault()
        void submit()
      }}
    >
      <textarea
        id="composer"
        rows={1}
        value={text}
        aria-label={words.composer.label}
        placeholder={running ? words.composer.hintRunning : words.composer.hint}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) void submit()
        }}
      />
      <div className="bar">
        {running && (
          <>
            {canSteer && (
              <select
                aria-label={words.composer.delivery}
                value={delivery}
                onChange={(event) => setDelivery(event.target.value as Delivery)}
              >
                <option value="queue">{words.composer.queue}</option>
                <option value="steer">{words.composer.steer}</option>
                <option value="interrupt">{words.composer.interrupt}</option>
              </select>
            )}
            <button type="button" className="plain" data-action="interrupt" onClick={() => interrupt('graceful')}>
              {words.composer.interruptTurn}
            </button>
            <button type="button" className="plain danger" onClick={() => interrupt('now')}>
              {words.composer.stopNow}
            </button>
          </>
        )}
        <span className="grow" />
        <button className="primary" disabled={busy || text.trim() === ''}>
          {words.composer.send} <kbd className="hide-phone">{SEND_KEY}</kbd>
        </button>
      </div>
    </form>
  )
}
