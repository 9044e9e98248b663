/** A mistake as the validation tells it. */
export interface Issue {
  code?: string
  path?: readonly PropertyKey[]
  message?: string
  /** Of a value that may have one of several forms: what is wrong with it as each of them. */
  errors?: readonly (readonly Issue[])[]
}

/** Forms within forms that are looked into. */
const MAX_DEPTH = 6

/**
 * The mistakes of a value that fits none of its forms, told for the form that it was meant to have: one whose kind and
 * `type` it has, and of several the one that it misses least. Null: it has the kind of none of them.
 */
export function issuesOfUnion({ errors, path = [] }: Issue, depth = 0): Issue[] | null {
  const forms = (errors ?? []).filter((issues) => issues.length > 0 && !issues.some(isOfAnotherKind))
  const [meant] = forms.toSorted((a, b) => a.length - b.length)
  if (!meant) return null
  return meant.flatMap((issue) => {
    const inner = issue.code === 'invalid_union' && depth < MAX_DEPTH ? issuesOfUnion(issue, depth + 1) : null
    return (inner ?? [issue]).map((each) => ({ ...each, path: [...path, ...(each.path ?? [])] }))
  })
}

/** A text where an object is meant, or an object with the `type` of another. */
const isOfAnotherKind = ({ code, path = [] }: Issue): boolean =>
  (path.length === 0 && code === 'invalid_type') ||
  (path.length === 1 && path[0] === 'type' && code === 'invalid_value')
