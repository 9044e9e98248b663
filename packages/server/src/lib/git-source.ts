/** Protocols that git may speak here. Those that start programs of their own (ssh, ext, fd) are none of them. */
const PROTOCOLS = ['https:', 'http:', 'file:']

/** What is wrong with an address below which repositories may lie; null: nothing. */
export function sourceProblem(source: string): string | null {
  if (!URL.canParse(source)) return `${JSON.stringify(source)} is no address`
  const { protocol, username, password, search, hash } = new URL(source)
  if (!PROTOCOLS.includes(protocol)) return `${JSON.stringify(source)} is none of https, http and file`
  if (username || password || search || hash) return `${JSON.stringify(source)} has more than host and path`
  return source.endsWith('/') ? null : `${JSON.stringify(source)} does not end in /`
}
