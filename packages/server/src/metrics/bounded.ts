/**
 * Label values as they may be told: the first `most` different ones as they are, every later one as `other`. Names that
 * callers choose (models, codes) must not grow what is kept without end.
 */
export function bounded(most: number): (value: string) => string {
  const known = new Set<string>()
  return (value) => {
    if (known.size < most) known.add(value)
    return known.has(value) ? value : 'other'
  }
}
