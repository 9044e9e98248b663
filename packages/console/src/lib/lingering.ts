import { useEffect, useRef, useState } from 'react'
import type { Approval } from './api.ts'

/** Milliseconds that one stays to be read which somebody else has answered. */
const STAYS_MS = 8_000

/** Ids that were answered on this page: their reader knows. */
const answeredHere = new Set<string>()
export function noteAnswered(id: string, here: boolean): void {
  if (here) answeredHere.add(id)
  else answeredHere.delete(id)
}

/**
 * What waits for an answer, and for a while what did and was answered elsewhere: a question that vanishes under the
 * reader's eyes says why. Those that are gone stay in their places.
 */
export function useLingering(pending: Approval[]): { approval: Approval; gone: boolean }[] {
  const [left, setLeft] = useState<ReadonlyMap<string, Approval>>(new Map())
  const before = useRef<Approval[]>([])
  const ids = pending.map(({ id }) => id).join()
  useEffect(() => {
    const now = new Set(pending.map(({ id }) => id))
    const gone = before.current.filter(({ id }) => !now.has(id) && !answeredHere.has(id))
    before.current = pending
    if (gone.length === 0) return
    setLeft((old) => new Map([...old, ...gone.map((each) => [each.id, each] as const)]))
    setTimeout(() => {
      setLeft((old) => new Map([...old].filter(([id]) => !gone.some((each) => each.id === id))))
    }, STAYS_MS)
  }, [ids])
  const there = new Set(pending.map(({ id }) => id))
  const lingering = [...left.values()].filter(({ id }) => !there.has(id))
  return [
    ...pending.map((approval) => ({ approval, gone: false })),
    ...lingering.map((approval) => ({ approval, gone: true })),
  ].toSorted((a, b) => (a.approval.created_at < b.approval.created_at ? -1 : 1))
}
