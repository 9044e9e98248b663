import { useQuery } from '@tanstack/react-query'
import { FolderChoice } from '../components/folder-choice.tsx'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { SkillCard } from '../components/skill-card.tsx'
import { skillsQuery } from '../lib/skills.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** What agents can be given to read when it is of use: folders with SKILL.md at their top. */
export function SkillsPage() {
  const words = useWords()
  const { data, error, isPending, refetch } = useQuery(skillsQuery)
  usePageTitle(words.skills.title)
  const skills = data?.data ?? []
  return (
    <main className="page" id="content">
      <div className="column">
        <div className="row wrap">
          <h1 className="grow">{words.skills.title}</h1>
          <FolderChoice of={null} label={words.skills.upload} className="primary" />
        </div>
        {error && <Problem error={error} retry={() => void refetch()} />}
        {isPending ? (
          <ListSkeleton rows={3} />
        ) : (
          <ul className="stack">
            {skills.map((skill) => (
              <SkillCard key={skill.id} skill={skill} />
            ))}
          </ul>
        )}
        {!isPending && !error && skills.length === 0 && <p className="empty">{words.skills.none}</p>}
      </div>
    </main>
  )
}
