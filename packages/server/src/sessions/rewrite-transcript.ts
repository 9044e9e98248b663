/** Kinds of content whose text is signed: changed, the model endpoint would refuse it. */
const SIGNED = new Set(['thinking', 'redacted_thinking'])

/**
 * Turns the entries of one session's transcript into another's: the session's own name, and the paths of its workdir,
 * so that the agent does not go back to files that are not its own. What is signed stays as it is.
 */
export function transcriptRewriter(names: [from: string, to: string][]): (body: string) => string {
  const changes = names.filter(([from, to]) => from !== to)
  const patterns = changes.map(([from, to]) => {
    // A path, and not the beginning of the name of another one.
    const escaped = from.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    return [new RegExp(from.includes('/') ? `(?<![\\w./-])${escaped}(?![\\w.-])` : escaped, 'g'), to] as const
  })
  const rename = (text: string) => patterns.reduce((now, [pattern, to]) => now.replace(pattern, () => to), text)
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return rename(value)
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== 'object' || value === null) return value
    if (SIGNED.has((value as { type?: string }).type ?? '')) return value
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, walk(each)]))
  }
  return (body) =>
    changes.some(([from]) => body.includes(JSON.stringify(from).slice(1, -1)))
      ? JSON.stringify(walk(JSON.parse(body)))
      : body
}
