/** The value below which `p` (0 to 1) of the sorted values lie. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}

export const median = (values: readonly number[]): number => percentile(values, 0.5)

/** Runs two measurements in turn, so that what else the machine does meets both; answers the median of each. */
export async function inTurn(rounds: number, a: () => Promise<number>, b: () => Promise<number>) {
  const first: number[] = []
  const second: number[] = []
  for (let round = 0; round < rounds; round++) {
    first.push(await a())
    second.push(await b())
  }
  return [median(first), median(second)] as const
}
