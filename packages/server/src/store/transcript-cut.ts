import type { SqliteAccess } from './sqlite-access.ts'

/**
 * The place of the first entry of the transcript that has one of these uuids, before what announces it; null where
 * nothing is to be cut. Asked in the transaction that cuts: entries of a turn come late, and on their own.
 */
export function transcriptCut(statement: SqliteAccess['statement'], sessionId: string, uuids: string[]): number | null {
  if (uuids.length === 0) return null
  let first: number | null = null
  const place = statement(`select n from transcript where session_id = ? and subpath = '' and uuid = ?`)
  for (const uuid of uuids) {
    const { n } = (place.get(sessionId, uuid) ?? { n: null }) as { n: number | null }
    if (n !== null && (first === null || n < first)) first = n
  }
  const end = statement(
    `select coalesce(max(n), 0) + 1 as n from transcript where session_id = ? and subpath = ''`,
  ).get(sessionId) as { n: number }
  first ??= end.n
  // The agent notes an input before it takes it.
  const body = statement(`select body from transcript where session_id = ? and subpath = '' and n = ?`)
  for (; first > 1; first--) {
    const row = body.get(sessionId, first - 1) as { body: string } | undefined
    if (!row || (JSON.parse(row.body) as { type?: string }).type !== 'queue-operation') break
  }
  return first
}
