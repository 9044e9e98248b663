import type { SqliteAccess } from './sqlite-access.ts'
import type { TranscriptStore } from './transcripts.ts'

export function sqliteTranscripts({ statement, write }: SqliteAccess): TranscriptStore {
  return {
    appendTranscript(sessionId, subpath, entries, generation = null) {
      return write(() => {
        // A transcript mirrored after its session was erased, or set back, must not come back to life.
        const rewinds = `coalesce(json_extract(options, '$.rewinds'), 0)`
        const current = `select 1 from sessions where id = ? and (? is null or ${rewinds} = ?)`
        if (!statement(current).get(sessionId, generation, generation)) return
        const next = statement(
          'select coalesce(max(n), 0) + 1 as n from transcript where session_id = ? and subpath = ?',
        ).get(sessionId, subpath) as { n: number }
        const insert = statement(
          'insert or ignore into transcript (session_id, subpath, n, uuid, body) values (?, ?, ?, ?, ?)',
        )
        for (const [index, entry] of entries.entries())
          insert.run(sessionId, subpath, next.n + index, entry.uuid, entry.body)
      })
    },

    async loadTranscript(sessionId, subpath) {
      const rows = statement('select body from transcript where session_id = ? and subpath = ? order by n')
      return (rows.all(sessionId, subpath) as { body: string }[]).map((row) => row.body)
    },

    async hasTranscript(sessionId) {
      const row = statement(`select 1 from transcript where session_id = ? and subpath = '' limit 1`).get(sessionId)
      return row !== undefined
    },

    async listTranscripts(sessionId) {
      const rows = statement(`select distinct subpath from transcript where session_id = ? and subpath <> ''`)
      return (rows.all(sessionId) as { subpath: string }[]).map((row) => row.subpath)
    },

    async transcriptHas(sessionId, uuid) {
      const row = statement("select 1 from transcript where session_id = ? and subpath = '' and uuid = ?")
      return row.get(sessionId, uuid) !== undefined
    },
  }
}
