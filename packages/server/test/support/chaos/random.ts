export interface Random {
  int(min: number, max: number): number
  chance(p: number): boolean
  pick<T>(from: readonly T[]): T
}

/** A stream of its own for each name, so that one part's draws do not move another's. */
export function random(seed: number, name: string): Random {
  let state = seed >>> 0
  for (const char of name) state = Math.imul(state ^ char.charCodeAt(0), 0x9e3779b1) >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  return { int, chance: (p) => next() < p, pick: (from) => from[int(0, from.length - 1)]! }
}
