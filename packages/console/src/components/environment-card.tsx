import { Link } from '@tanstack/react-router'
import type { Environment } from '@troupe/protocol/environment'
import { useState } from 'react'
import { archiveEnvironment, environmentPath, environmentsKey } from '../lib/environments.ts'
import { draftOfEnvironment } from '../lib/environment-draft.ts'
import { queries } from '../lib/queries.ts'
import { useWords } from '../words/use-words.tsx'
import { FormDialog } from './form-dialog.tsx'
import { Ago } from './time.tsx'

/** An environment: what it gives to its sessions and keeps from them, and what can be done with it. */
export function EnvironmentCard({ environment, edit }: { environment: Environment; edit: () => void }) {
  const words = useWords()
  const say = words.environments
  const [archiving, setArchiving] = useState(false)
  const { id, name, description, config, archived_at: archived } = environment
  const draft = draftOfEnvironment(environment)
  const count = (text: string) => text.split('\n').filter(Boolean).length
  const all = config.type === 'container' ? say.reachesMachine : say.reachesAll
  const facts = [
    config.type === 'container' && say.ofImage(draft.image),
    config.type !== 'local' && (draft.limited ? say.reaches(draft.hosts.replaceAll('\n', ', ')) : all),
    draft.setup !== '' && say.setUpBy(count(draft.setup)),
    draft.repository !== '' && say.worktreeOf(draft.repository),
    draft.env !== '' && say.sets(draft.env.replaceAll('\n', ', ')),
    draft.cwdRoot !== '' && say.worksIn(draft.cwdRoot),
  ].filter((fact) => fact !== false)
  return (
    <li className="endpoint stack" data-environment={id}>
      <div className="row wrap">
        <h2 className="grow">{name}</h2>
        <span className="status">{archived ? words.status.archived : (say.types[config.type] ?? config.type)}</span>
      </div>
      {description && <p>{description}</p>}
      {facts.length > 0 && (
        <ul className="small soft lines">
          {facts.map((fact) => (
            <li key={fact}>{fact}</li>
          ))}
        </ul>
      )}
      <p className="row wrap small soft">
        <code>{id}</code>
        <span>
          {say.changed} <Ago at={environment.updated_at} />
        </span>
      </p>
      {!archived && (
        <div className="row wrap">
          <Link to="/" search={{ environment: id }} className="button">
            {say.start}
          </Link>

          {config.type !== 'cloud' && (
            <button type="button" onClick={edit}>
              {words.edit}
            </button>
          )}
          <button type="button" className="danger" onClick={() => setArchiving(true)}>
            {words.archive}
          </button>
        </div>
      )}
      {archiving && (
        <FormDialog
          title={words.agents.archiveTitle(name)}
          action={words.archive}
          danger
          call={() => ({ method: 'POST', path: environmentPath(id, 'archive'), body: {} })}
          submit={async () => {
            await archiveEnvironment(id)
            await queries.invalidateQueries({ queryKey: environmentsKey })
          }}
          close={() => setArchiving(false)}
        >
          <p>{say.archiveMeans}</p>
        </FormDialog>
      )}
    </li>
  )
}
