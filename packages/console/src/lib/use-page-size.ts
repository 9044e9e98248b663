import { useState } from 'react'

/** Rows of a page of the API, at most. */
const MOST = 1_000

/**
 * How many rows a list asks for: `first`, and twice as many each time its reader wants more. `more` is null where there
 * are none, or no more than a page may have.
 */
export function usePageSize(first: number) {
  const [limit, setLimit] = useState(first)
  const grow = () => setLimit((before) => Math.min(MOST, before * 2))
  return {
    limit,
    moreOf: (list: { next_page: string | null } | undefined) => (list?.next_page && limit < MOST ? grow : null),
  }
}
