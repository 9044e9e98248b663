import { useWords } from '../words/use-words.tsx'

/** Below a list: whether it shows what is over too, and more of it. */
export function ListFoot({
  label,
  checked,
  change,
  more,
}: {
  label: string
  checked: boolean
  change: (checked: boolean) => void
  /** Null: there is no more. */
  more: (() => void) | null
}) {
  const words = useWords()
  return (
    <div className="row wrap small soft">
      <label className="row grow">
        <input type="checkbox" checked={checked} onChange={() => change(!checked)} />
        {label}
      </label>
      {more && (
        <button type="button" onClick={more}>
          {words.table.more}
        </button>
      )}
    </div>
  )
}
