import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'

export type Resolve = (hostname: string) => Promise<LookupAddress[]>

/**
 * Resolves names as the machine does (hosts file too); who asks for a name that is being looked up shares the answer.
 * `places`: lookups under way at once, at most. They take threads of the pool that also serves files, of which there are
 * four: a name server that hangs must not hold up sessions.
 */
export function systemResolver(
  look: Resolve = (name) => lookup(name, { all: true, order: 'verbatim' }),
  places = 2,
): Resolve {
  const running = new Map<string, Promise<LookupAddress[]>>()
  const waiting: (() => void)[] = []
  let busy = 0
  const run = async (name: string) => {
    if (busy === places) await new Promise<void>((resolve) => waiting.push(resolve))
    else busy++
    try {
      return await look(name)
    } finally {
      running.delete(name)
      // The place is handed on, or given back.
      const next = waiting.shift()
      if (next) next()
      else busy--
    }
  }
  return (name) => {
    const known = running.get(name) ?? run(name)
    running.set(name, known)
    return known
  }
}
