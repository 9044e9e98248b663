import { ApiError } from '@troupe/protocol/error'

const MAX_PAIRS = 16
const MAX_KEY = 64
const MAX_VALUE = 512
/** Characters in a row by which a text is found. */
const LEAST = 3

const refuse = (pointer: string, detail: string) =>
  new ApiError('validation_failed', `${pointer} ${detail}.`, { errors: [{ pointer, code: 'invalid', detail }] })

/** `metadata[key]=value`, each pair once. Throws `validation_failed` beyond the limits of metadata. */
export function metadataFilter(url: string): [string, string][] | undefined {
  const [, query = ''] = url.split('?', 2)
  const pairs: [string, string][] = []
  for (const [name, value] of new URLSearchParams(query)) {
    const key = /^metadata\[(.*)\]$/s.exec(name)?.[1]
    if (key === undefined) continue
    if (key === '' || key.length > MAX_KEY)
      throw refuse(
        `querystring:metadata[${key.slice(0, MAX_KEY)}]`,
        `has a key that is not 1 to ${MAX_KEY} characters long`,
      )
    if (value.length > MAX_VALUE)
      throw refuse(`querystring:metadata[${key}]`, `has a value of more than ${MAX_VALUE} characters`)
    pairs.push([key, value])
  }
  if (pairs.length > MAX_PAIRS) throw refuse('querystring:metadata', `names more than ${MAX_PAIRS} pairs`)
  return pairs.length === 0 ? undefined : pairs
}

/**
 * The words of a search; those between quotes are one. Words too short to be found by are left out. Throws
 * `validation_failed` where none is left.
 */
export function searchWords(q: string | undefined): string[] | undefined {
  if (q === undefined) return undefined
  // A text ends at a NUL where it is searched for.
  const words = [...q.replaceAll('\0', ' ').matchAll(/"([^"]+)"|(\S+)/g)].map(([, phrase, word]) =>
    (phrase ?? word)!.replaceAll('"', ''),
  )
  const long = words.filter((word) => [...word].length >= LEAST)
  if (long.length === 0) throw refuse('querystring:q', `has no word of at least ${LEAST} characters to search for`)
  return long
}
