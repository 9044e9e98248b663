import { useQuery } from '@tanstack/react-query'
import type { Skill } from '@troupe/protocol/skill'
import { useState } from 'react'
import { queries } from '../lib/queries.ts'
import { deleteSkill, skillPath, skillsKey, versionPath, versionsQuery } from '../lib/skills.ts'
import { useWords } from '../words/use-words.tsx'
import { FolderChoice } from './folder-choice.tsx'
import { FormDialog } from './form-dialog.tsx'
import { Problem } from './problem.tsx'
import { ListSkeleton } from './session-list.tsx'
import { Ago } from './time.tsx'

/** A skill: what it is for, its versions to be taken out, a next one, and its end. */
export function SkillCard({ skill }: { skill: Skill }) {
  const words = useWords()
  const [open, setOpen] = useState(false)
  const [deleting, setDeleting] = useState(false)
  const versions = useQuery(versionsQuery(skill.id))
  const newest = versions.data?.data[0]
  return (
    <li className="endpoint stack" data-skill={skill.id}>
      <h2>{skill.display_name}</h2>
      {newest && <p>{newest.description}</p>}
      <p className="row wrap small soft">
        <code>{newest?.name ?? skill.id}</code>
        <span>
          {words.skills.changed} <Ago at={skill.updated_at} />
        </span>
      </p>
      {versions.error && <Problem error={versions.error} retry={() => void versions.refetch()} />}
      <div className="row wrap">
        <FolderChoice of={skill.id} label={words.skills.next} />
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          {words.skills.versions(versions.data?.data.length ?? 1)}
        </button>
        <button type="button" className="danger" onClick={() => setDeleting(true)}>
          {words.remove}
        </button>
      </div>
      {open &&
        (versions.isPending ? (
          <ListSkeleton rows={2} />
        ) : (
          <ul className="small lines">
            {versions.data?.data.map((version) => (
              <li key={version.id} className="row wrap">
                <a href={versionPath(skill.id, version.id, 'content')} download={`${version.name}.zip`}>
                  {words.skills.download(version.name)}
                </a>
                <Ago at={version.created_at} />
                <code className="faint">{version.id}</code>
              </li>
            ))}
          </ul>
        ))}
      {deleting && (
        <FormDialog
          title={words.skills.deleteTitle(skill.display_name)}
          action={words.remove}
          danger
          call={() => ({ method: 'DELETE', path: skillPath(skill.id) })}
          submit={async () => {
            await deleteSkill(skill.id)
            await queries.invalidateQueries({ queryKey: skillsKey })
          }}
          close={() => setDeleting(false)}
        >
          <p>{words.skills.deleteMeans}</p>
        </FormDialog>
      )}
    </li>
  )
}
