import { iso } from '../log/wire.ts'
import type { EventRow } from '../store/events.ts'
import type { SessionRow } from '../store/session-row.ts'
import { partOf } from './export-parts.ts'

/** Nothing is run and nothing is fetched, wherever the file is opened. */
export const EXPORT_CSP =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"

const STYLE = `
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
section { border-left: 3px solid #8888; padding-left: 1rem; margin: 1.5rem 0 }
section.user { border-color: #2a6fdb } section.error { border-color: #c22 }
h2 { font-size: 1rem; margin: 0 } time { font-weight: normal; opacity: .6; font-size: .85em }
p, pre { white-space: pre-wrap; margin: .4rem 0 0 } pre { font-size: .85em }
`

/** A session to read, as one page that needs nothing else. Everything that was said is text in it. */
export async function* htmlOf(
  session: SessionRow,
  events: AsyncIterable<EventRow>,
): AsyncGenerator<string, void, void> {
  const title = escaped(session.title ?? session.id)
  yield `<!doctype html>
<html lang="">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${title}</h1>
<p>${escaped(session.id)}, ${escaped(iso(session.createdAt))}</p>
`
  for await (const event of events) {
    const part = partOf(event)
    if (!part) continue
    const tag = part.code ? 'pre' : 'p'
    const text = part.text === '' ? '' : `<${tag} dir="auto">${escaped(part.text)}</${tag}>\n`
    yield `<section class="${part.kind}">\n<h2>${escaped(part.title)} <time>${iso(part.at)}</time></h2>\n${text}</section>\n`
  }
  yield '</body>\n</html>\n'
}

const NAMES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (char) => NAMES[char]!)
