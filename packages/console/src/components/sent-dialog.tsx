import { useSent } from '../lib/sent.ts'
import { useWords } from '../words/use-words.tsx'
import { Dialog } from './confirm-dialog.tsx'
import { CopyRequest } from './copy-request.tsx'
import { Ago } from './time.tsx'

/** Every change this page has asked for, to be made again from a terminal or a program. */
export function SentDialog({ close }: { close: () => void }) {
  const words = useWords()
  const sent = useSent()
  return (
    <Dialog title={words.sent.title} close={close} className="wide">
      <div className="body">
        <h2>{words.sent.title}</h2>
        <p className="small soft">{sent.length === 0 ? words.sent.none : words.sent.means}</p>
        <ul className="deliveries small">
          {sent.map((each) => (
            <li key={each.id} className="row wrap run">
              <span className={each.status !== null && each.status < 400 ? 'status done' : 'status failed'}>
                {each.status ?? words.webhooks.noAnswer}
              </span>
              <code className="grow">
                {each.method} {each.path}
              </code>
              <span className="tiny faint">
                <Ago at={each.at} />
              </span>
              <CopyRequest call={() => each} />
            </li>
          ))}
        </ul>
        <div className="row">
          <span className="grow" />
          <button type="button" autoFocus onClick={close}>
            {words.close}
          </button>
        </div>
      </div>
    </Dialog>
  )
}
