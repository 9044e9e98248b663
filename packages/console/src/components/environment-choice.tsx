import type { Environment } from '@troupe/protocol/environment'
import { useWords } from '../words/use-words.tsx'

/** A choice of where sessions work; nothing where there is none but the built-in one. */
export function EnvironmentChoice({
  environments,
  chosen,
  change,
  className = 'field',
  disabled = false,
}: {
  environments: readonly Environment[]
  /** Empty: the built-in one. Another that is not in the list stays. */
  chosen: string
  change: (event: { target: { value: string } }) => void
  className?: string
  disabled?: boolean
}) {
  const words = useWords()
  const known = environments.some(({ id }) => id === chosen)
  if (environments.length === 0 && chosen === '') return null
  return (
    <label className={className}>
      <span>{words.environments.use}</span>
      <select value={chosen} onChange={change} disabled={disabled}>
        <option value="">{words.environments.builtIn}</option>
        {chosen !== '' && !known && <option value={chosen}>{chosen}</option>}
        {environments.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  )
}
