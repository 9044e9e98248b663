import { useQuery } from '@tanstack/react-query'
import { filesQuery } from '../lib/files.ts'
import { bytes } from '../lib/format.ts'
import { useSpeech } from '../words/use-words.tsx'

/** Files that are offered, the newest. */
const OFFERED = 20

export interface ChosenFile {
  id: string
  filename: string
}

/** Uploaded files, to be given to a session. Nothing where there is none. */
export function FileChoice({
  chosen,
  change,
  disabled,
}: {
  chosen: readonly ChosenFile[]
  change: (chosen: ChosenFile[]) => void
  disabled: boolean
}) {
  const { words, language } = useSpeech()
  const files = useQuery({ ...filesQuery(OFFERED), retry: false }).data?.data ?? []
  const offered = files.filter(({ scope, downloadable }) => scope === null && downloadable)
  if (offered.length === 0) return null
  const toggle = (file: ChosenFile) =>
    change(
      chosen.some(({ id }) => id === file.id)
        ? chosen.filter(({ id }) => id !== file.id)
        : [...chosen, { id: file.id, filename: file.filename }],
    )
  return (
    <fieldset className="plain-set wide" disabled={disabled}>
      <legend>{words.files.give}</legend>
      <div className="scopes">
        {offered.map((file) => (
          <label key={file.id}>
            <input type="checkbox" checked={chosen.some(({ id }) => id === file.id)} onChange={() => toggle(file)} />
            <span>{file.filename}</span>
            <span className="tiny soft">{bytes(file.size_bytes, language)}</span>
          </label>
        ))}
      </div>
      <p className="tiny soft">{words.files.giveHint}</p>
    </fieldset>
  )
}
