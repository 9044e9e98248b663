import { iso } from '../log/wire.ts'
import type { EventRow } from '../store/events.ts'
import type { SessionRow } from '../store/session-row.ts'
import { partOf } from './export-parts.ts'

/** A session to read, as Markdown. What was said stands as it was said; data is fenced. */
export async function* markdownOf(
  session: SessionRow,
  events: AsyncIterable<EventRow>,
): AsyncGenerator<string, void, void> {
  yield `# ${oneLine(session.title ?? session.id)}\n\nSession \`${session.id}\`, begun ${iso(session.createdAt)}.\n`
  for await (const event of events) {
    const part = partOf(event)
    if (!part) continue
    const text = part.code ? fenced(part.text) : part.text
    yield `\n## ${oneLine(part.title)}\n${text === '' ? '' : `\n${text}\n`}`
  }
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ')

/** In a fence that nothing in the text can close. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}\n${text}\n${fence}`
}
