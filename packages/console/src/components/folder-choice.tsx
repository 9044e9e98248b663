import { useRef, useState } from 'react'
import { bytes } from '../lib/format.ts'
import { MOST_SKILL_BYTES, MOST_SKILL_FILES, skillFiles } from '../lib/skill-files.ts'
import { skillsKey, uploadSkill } from '../lib/skills.ts'
import { queries } from '../lib/queries.ts'
import { useSpeech } from '../words/use-words.tsx'
import { Problem } from './problem.tsx'

/** A button that takes a folder with SKILL.md at its top and sends it: as a new skill, or as the next version of `of`. */
export function FolderChoice({ of, label, className }: { of: string | null; label: string; className?: string }) {
  const { words, language } = useSpeech()
  const input = useRef<HTMLInputElement>(null)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [told, tell] = useState<string | null>(null)
  const send = async (chosen: Iterable<File>) => {
    const files = skillFiles(chosen)
    const size = files.reduce((sum, { file }) => sum + file.size, 0)
    setError(null)
    tell(null)
    if (files.length === 0) return
    if (!files.some(({ path }) => /^[^/]+\/SKILL\.md$/.test(path))) return tell(words.skills.noHead)
    if (size > MOST_SKILL_BYTES || files.length > MOST_SKILL_FILES)
      return tell(words.skills.tooMuch(bytes(MOST_SKILL_BYTES, language), MOST_SKILL_FILES))
    setBusy(true)
    try {
      await uploadSkill(files, of)
      await queries.invalidateQueries({ queryKey: skillsKey })
    } catch (caught) {
      setError(caught)
    }
    setBusy(false)
  }
  return (
    <>
      <button type="button" className={className} disabled={busy} onClick={() => input.current?.click()}>
        {busy ? words.skills.sending : label}
      </button>
      <input
        ref={(element) => {
          input.current = element
          // A folder instead of files: React does not know the attribute by its type.
          element?.setAttribute('webkitdirectory', '')
        }}
        type="file"
        multiple
        hidden
        data-folder={of ?? ''}
        onChange={(event) => {
          void send([...(event.target.files ?? [])])
          // The same folder may be chosen again.
          event.target.value = ''
        }}
      />
      {told !== null && (
        <p className="notice bad wide-line" role="alert">
          {told}
        </p>
      )}
      {error !== null && (
        <div className="wide-line">
          <Problem error={error} />
        </div>
      )}
    </>
  )
}
