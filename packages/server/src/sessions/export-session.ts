import { requireSession } from './change-session.ts'
import type { SessionContext } from './context.ts'
import { htmlOf } from './export-html.ts'
import { markdownOf } from './export-markdown.ts'
import { oneLine } from '../lib/one-line.ts'
import { eventJson } from '../log/wire.ts'
import type { EventRow } from '../store/events.ts'
import type { SessionRow } from '../store/session-row.ts'

export type ExportFormat = 'jsonl' | 'markdown' | 'html' | 'claude'

/** What an export is called, and is. */
export const EXPORTS: Record<ExportFormat, { type: string; suffix: string }> = {
  jsonl: { type: 'application/x-ndjson; charset=utf-8', suffix: 'events.jsonl' },
  markdown: { type: 'text/markdown; charset=utf-8', suffix: 'md' },
  html: { type: 'text/html; charset=utf-8', suffix: 'html' },
  claude: { type: 'application/x-ndjson; charset=utf-8', suffix: 'jsonl' },
}

/** Rows read at once. */
const PAGE = 200

/** Pieces of a session's export, read as they are asked for. Throws `session_not_found` before the first. */
export async function exportSession(
  context: SessionContext,
  sessionId: string,
  format: ExportFormat,
): Promise<{ session: SessionRow; pieces: AsyncGenerator<string, void, void> }> {
  const session = await requireSession(context, sessionId)
  const pieces = {
    jsonl: () => lines(context, session),
    markdown: () => markdownOf(session, events(context, session)),
    html: () => htmlOf(session, events(context, session)),
    claude: () => transcript(context, session),
  }[format]()
  return { session, pieces }
}

async function* lines(context: SessionContext, session: SessionRow): AsyncGenerator<string, void, void> {
  for await (const event of events(context, session)) yield `${oneLine(eventJson(event))}\n`
}

/** Each event once, in its newest form, up to where the log goes now. */
async function* events({ store }: SessionContext, session: SessionRow): AsyncGenerator<EventRow, void, void> {
  for (let after = 0; ;) {
    const filter = { afterSeq: after, beforeSeq: session.lastSeq + 1 }
    const { rows, more } = await store.listEvents(session.id, filter, 'asc', PAGE)
    yield* rows
    const last = rows.at(-1)
    if (!more || !last) return
    after = last.seq
  }
}

/** The transcript as Claude Code writes it: `claude --resume` reads it under `projects/` of its folder. */
async function* transcript({ store }: SessionContext, session: SessionRow): AsyncGenerator<string, void, void> {
  for (let after = 0; ;) {
    const rows = await store.branches.transcriptPage(session.id, after, PAGE)
    const last = rows.at(-1)
    if (!last) return
    yield rows.map(({ body }) => `${oneLine(body)}\n`).join('')
    after = last.n
  }
}
