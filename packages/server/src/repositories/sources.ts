import { ApiError } from '@troupe/protocol/error'
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * The address of a repository as git is given it. It must lie below one of the sources that the operator allows. Throws
 * `repository_refused`.
 */
export function repositoryUrl(text: string, sources: readonly string[], pointer: string): string {
  const refused = (detail: string) =>
    new ApiError('repository_refused', detail, { errors: [{ pointer, code: 'repository_refused', detail }] })
  if (!URL.canParse(text)) throw refused(`url ${JSON.stringify(text)} is no address.`)
  const url = new URL(text)
  // Not repeated: it may hold a credential.
  if (url.username || url.password) throw refused('url holds a user or a password; send authorization_token instead.')
  if (url.search || url.hash || /%(2f|5c|00)/i.test(url.pathname))
    throw refused(`url ${JSON.stringify(text)} has more than host and path.`)
  if (!sources.some((source) => liesBelow(url, new URL(source))))
    throw refused(
      `url ${JSON.stringify(text)} is not below what may be cloned here: ${sources.join(', ') || 'nothing'}. The operator sets git_sources.`,
    )
  return url.href.replace(/\/$/, '')
}

function liesBelow(url: URL, source: URL): boolean {
  if (url.protocol !== source.protocol || url.host !== source.host) return false
  if (url.protocol !== 'file:') return url.pathname.startsWith(source.pathname) && url.pathname !== source.pathname
  // Links are followed: where it really is counts.
  try {
    return `${realpathSync(fileURLToPath(url))}/`.startsWith(`${realpathSync(fileURLToPath(source))}/`)
  } catch {
    return false
  }
}

/** What a repository is called, for its place in the workdir. */
export function repositoryName(url: string): string {
  const last = decodeURIComponent(new URL(url).pathname.split('/').findLast((part) => part !== '') ?? '')
  return last.replace(/\.git$/, '') || 'repository'
}
