import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const DECLARED = new URL('../../../../node_modules/anthropic-sdk-1.12/resources/beta/', import.meta.url)
/** Sent as headers by every method. */
const HEADERS = ['betas', 'workspace_id']
/** What every list takes. */
const PAGES = ['PageCursorParams', 'BidirectionalPageCursorParams']

/** The names of the fields that the newest official SDK declares of an interface. Throws where there is none. */
export function fieldsOf(file: string, name: string): string[] {
  const text = readFileSync(fileURLToPath(new URL(file, DECLARED)), 'utf8').replaceAll(/\/\*.*?\*\//gs, '')
  const found = new RegExp(`export interface ${name}(?: extends (\\w+))? \\{(.*?)\\n\\}`, 's').exec(text)
  if (!found) throw new Error(`${file} declares no ${name}`)
  const [, base, body] = found
  // Fields of the interface itself stand four spaces deep; those of types within it deeper.
  const own = [...body!.matchAll(/^ {4}'?([\w[\]]+?)'?\??:/gm)].map(([, field]) => field!)
  return [
    ...own.filter((field) => !HEADERS.includes(field)),
    ...(base && PAGES.includes(base) ? ['limit', 'page'] : []),
  ]
}
