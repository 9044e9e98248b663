const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Pauses after the first, second … attempt that failed: 16 of them, 71.7 h in all. */
export const PAUSES: readonly number[] = [
  5 * SECOND,
  30 * SECOND,
  2 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  1 * HOUR,
  2 * HOUR,
  4 * HOUR,
  ...Array.from({ length: 8 }, () => 8 * HOUR),
]

/** Each pause is up to this much shorter or longer, so that what failed together does not come back together. */
const JITTER = 0.1

/** How long to wait after so many attempts that failed, in ms; null when that was the last. */
export function pauseAfter(attempts: number, random: () => number = Math.random): number | null {
  const pause = PAUSES[attempts - 1]
  return pause === undefined ? null : Math.round(pause * (1 + JITTER * (2 * random() - 1)))
}
