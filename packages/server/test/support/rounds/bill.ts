import type { UsageReport } from '@troupe/protocol/usage-report'
import type { Findings } from '../chaos/world.ts'
import type { RoundsWorld } from './world.ts'

const FIGURES = ['input_tokens', 'output_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'] as const

const OUTPUT = FIGURES.indexOf('output_tokens')

/** Tokens of the longest answer in these rounds, generously. */
const WORDS_OF_AN_ANSWER = 20

type Sums = readonly number[]

/**
 * How many of the requests it takes, `most` at most, to make up this; null when none do. `guessed`: output tokens that
 * the agent may have counted by itself, because the answer that would have said them was cut off.
 */
export function leftOut(requests: Sums[], difference: Sums, most: number, guessed: number): number | null {
  const dead = new Set<string>()
  const least = (place: number) => (place === OUTPUT ? -guessed : 0)
  const search = (index: number, rest: Sums, left: number): number | null => {
    if (rest.every((figure, place) => figure <= 0 && figure >= least(place))) return 0
    if (index === requests.length || left === 0 || rest.some((figure, place) => figure < least(place))) return null
    const state = `${index} ${left} ${rest.join()}`
    if (dead.has(state)) return null
    const without = requests[index]!
    const taken = search(
      index + 1,
      rest.map((figure, place) => figure - without[place]!),
      left - 1,
    )
    const found = taken === null ? search(index + 1, rest, left) : taken + 1
    if (found === null) dead.add(state)
    return found
  }
  return search(0, difference, most)
}

/** What the ledger says of each session against what the endpoint billed it; only marked requests may be missing. */
export async function verifyBills(world: RoundsWorld & Findings): Promise<void> {
  const url = await world.server.url
  for (const { id, uuid } of world.sessions) {
    const report = (await (await fetch(`${url}/v1/usage?session_id=${id}`)).json()) as UsageReport
    const requests = world.model.requests.list(uuid).filter(({ usage }) => usage !== null)
    const billed = requests.map(({ usage }) => FIGURES.map((figure) => usage![figure]))
    const cut = requests.filter(({ outcome }) => outcome !== 'answered').length
    const totals = FIGURES.map((figure) => report.totals[figure])
    const sum = FIGURES.map((_, place) => billed.reduce((all, figures) => all + figures[place]!, 0))
    const difference = sum.map((figure, place) => figure - totals[place]!)
    const missing = leftOut(billed, difference, report.totals.unreported_requests, cut * WORDS_OF_AN_ANSWER)
    world.count('requests billed', billed.length)
    world.count('requests marked', report.totals.unreported_requests)
    world.count('requests missing', missing ?? 0)
    if (missing === null)
      world.problem(
        `${id}: billed ${sum.join()}, the ledger has ${totals.join()} and marks ${report.totals.unreported_requests}; requests: ${JSON.stringify(billed)}`,
      )
  }
}
