import { MAX_FILENAME } from '@troupe/protocol/file'

/** No name of a file anywhere: separators, and what a terminal or a header would obey. */
const FORBIDDEN = /[/\\\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

/** What cannot be shown as it is, as signs that can. */
export const shownPath = (path: string): string =>
  path
    .split('/')
    .map((name) => [...name].map((sign) => (FORBIDDEN.test(sign) ? '\ufffd' : sign)).join(''))
    .join('/')

/** What keeps a name from being a label of a file, in words; null: nothing. */
export function nameProblem(name: string): string | null {
  if (name.trim() === '' || name === '.' || name === '..' || FORBIDDEN.test(name))
    return 'The file needs a filename without "/", "\\" and control characters.'
  if (name.length > MAX_FILENAME) return `The filename has ${name.length} characters; it may have ${MAX_FILENAME}.`
  return null
}
