import { ApiError } from '@troupe/protocol/error'

/** What the hosted API's containers call it, and where that is in a workdir. The first that fits counts. */
const PLACES: readonly [string, string][] = [
  ['/mnt/session/', ''],
  ['/workspace/', ''],
]
/** What tools obey that find it in a workdir, and what is ours: nobody plants it by a file's name. */
const KEPT = new Set(['.git', '.claude', '.mcp.json'])
/** What is put there is taken for what the agent made. */
const OUTPUTS = 'outputs'
const MAX_DEPTH = 16
const FORBIDDEN = /[\\\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

/** Where a file lies that names no place, as the hosted API has it. */
export const defaultMountPath = (fileId: string): string => `/mnt/session/uploads/${fileId}`

/**
 * The place of a mounted file relative to the workdir, in its parts. `/workspace/x` and `/mnt/session/x` are `x`. Throws
 * `validation_failed` for every path that could lead elsewhere.
 */
export function mountParts(mountPath: string, pointer: string): string[] {
  const refused = (detail: string) =>
    new ApiError('validation_failed', detail, { errors: [{ pointer, code: 'custom', detail }] })
  const shown = JSON.stringify(mountPath)
  const place = PLACES.find(([prefix]) => mountPath.startsWith(prefix))
  const relative = place ? place[1] + mountPath.slice(place[0].length) : mountPath
  if (relative.startsWith('/'))
    throw refused(`mount_path ${shown} is none of a workdir: begin with /workspace/ or /mnt/session/, or relative.`)
  if (FORBIDDEN.test(relative)) throw refused(`mount_path ${shown} has control characters or backslashes.`)
  const parts = relative.split('/')
  if (parts.length > MAX_DEPTH) throw refused(`mount_path ${shown} is deeper than ${MAX_DEPTH} folders.`)
  for (const part of parts) {
    if (part === '' || part === '.' || part === '..' || part.trim() === '')
      throw refused(`mount_path ${shown} has an empty part, "." or "..".`)
    if (Buffer.byteLength(part) > 255) throw refused(`mount_path ${shown} has a name of more than 255 bytes.`)
    if (KEPT.has(part.toLowerCase()))
      throw refused(`mount_path ${shown}: ${part} is obeyed by tools; nothing is put there.`)
  }
  if (parts[0]!.toLowerCase() === OUTPUTS)
    throw refused(`mount_path ${shown}: ${OUTPUTS}/ is for what the agent makes.`)
  return parts
}
