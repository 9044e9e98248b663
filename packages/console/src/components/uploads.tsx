import { useRef, useState } from 'react'
import { bytes } from '../lib/format.ts'
import { filesKey, MOST_BYTES, uploadFile } from '../lib/files.ts'
import { queries } from '../lib/queries.ts'
import { useSpeech } from '../words/use-words.tsx'
import { Problem } from './problem.tsx'

interface Sending {
  id: number
  file: File
  share: number
  error: unknown
  stop: AbortController
}

/** Uploads that go on at once; the others wait for them. */
const AT_ONCE = 2

/** A place for files: chosen or dropped, sent one after the other, each with how far it is. */
export function Uploads() {
  const { words, language } = useSpeech()
  const input = useRef<HTMLInputElement>(null)
  const [list, setList] = useState<Sending[]>([])
  const [over, setOver] = useState(false)
  const line = useRef({ count: 0, running: 0, waiting: [] as Sending[] })

  const set = (id: number, fields: Partial<Sending>) =>
    setList((before) => before.map((each) => (each.id === id ? { ...each, ...fields } : each)))
  const drop = (id: number) => setList((before) => before.filter((each) => each.id !== id))
  const next = () => {
    while (line.current.running < AT_ONCE && line.current.waiting.length > 0) void send(line.current.waiting.shift()!)
  }
  const send = async ({ id, file, stop }: Sending) => {
    line.current.running++
    try {
      stop.signal.throwIfAborted()
      await uploadFile(file, (share) => set(id, { share }), stop.signal)
      await queries.invalidateQueries({ queryKey: filesKey })
      drop(id)
    } catch (error) {
      if (stop.signal.aborted) drop(id)
      else set(id, { error })
    }
    line.current.running--
    next()
  }
  const add = (files: Iterable<File>) => {
    const added = [...files].map((file) => ({
      id: line.current.count++,
      file,
      share: 0,
      error: null as unknown,
      stop: new AbortController(),
    }))
    setList((before) => [...before, ...added])
    for (const each of added)
      if (each.file.size > MOST_BYTES) set(each.id, { error: 'large' })
      else line.current.waiting.push(each)
    next()
  }
  const percent = new Intl.NumberFormat(language, { style: 'percent' })
  return (
    <section
      className={over ? 'drop over' : 'drop'}
      aria-label={words.files.upload}
      onDragOver={(event) => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault()
        setOver(false)
        add(event.dataTransfer.files)
      }}
    >
      <p className="row wrap">
        <button type="button" onClick={() => input.current?.click()}>
          {words.files.choose}
        </button>
        <span className="small soft">{words.files.dropHint(bytes(MOST_BYTES, language))}</span>
        <input
          ref={input}
          type="file"
          multiple
          hidden
          data-files=""
          onChange={(event) => {
            add(event.target.files ?? [])
            // The same file may be chosen again.
            event.target.value = ''
          }}
        />
      </p>
      {list.length > 0 && (
        <ul className="stack">
          {list.map(({ id, file, share, error, stop }) => (
            <li key={id} className="stack sending">
              <div className="row small">
                <span className="grow clip">{file.name}</span>
                {error === null && <span className="soft">{percent.format(share)}</span>}
                <button type="button" className="plain" onClick={() => (error === null ? stop.abort() : drop(id))}>
                  {error === null ? words.cancel : words.close}
                </button>
              </div>
              {error === null ? (
                <progress aria-label={file.name} value={share} max={1} />
              ) : error === 'large' ? (
                <p className="notice bad">{words.files.tooLarge(bytes(file.size, language))}</p>
              ) : (
                <Problem error={error} />
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
