/**
 * Writes `schema-N.sql` beside itself: a store as this version leaves it, for versions to come to be tested with. Run it
 * at a release: `node packages/server/test/store/released/write.ts`. Files that are there are never written again.
 */
import Sqlite from 'better-sqlite3'
import { writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { backUp } from '../../../src/backup.ts'
import { testServer } from '../../support/server.ts'

const server = await testServer({ log_level: 'silent' })
try {
  const agent = await server.post('/v1/agents', { name: 'Released', model: 'claude-sonnet-4-5' })
  const talked = await server.create('say the blue door', {
    title: 'Talked',
    metadata: { kept: 'yes' },
    agent: agent.id,
  })
  await server.idle(talked.id)
  const crashed = await server.create('crash', { title: 'Crashed' })
  await server.idle(crashed.id)
  await server.create(null, { title: 'New', external_id: 'mine' })
  await server.post('/v1/webhook_endpoints', { url: 'https://example.com/hook', types: ['*'] })
  const { schema } = await backUp(join(server.folder, 'data'), join(server.folder, 'backup'))
  const text = dump(join(server.folder, 'backup', 'troupe.db'))
    .replaceAll(server.folder, '/srv/troupe')
    .replaceAll(hostname(), 'host')
    // Nobody's, but it looks like somebody's.
    .replaceAll(/whsec_[\w+/=]+/g, `whsec_${Buffer.alloc(32).toString('base64')}`)
  writeFileSync(new URL(`schema-${schema}.sql`, import.meta.url), text, { flag: 'wx' })
} finally {
  await server.stop()
}

/** Tables, their rows, then indexes and triggers, which must not fire while rows come in. */
function dump(file: string): string {
  const db = new Sqlite(file, { readonly: true })
  const parts = db
    .prepare(`select type, name, sql from sqlite_master where sql is not null order by type <> 'table', rowid`)
    .all() as { type: string; name: string; sql: string }[]
  const quote = db.prepare('select quote(?) as text').pluck()
  const lines = parts.flatMap(({ type, name, sql }) => {
    const made = name === 'sqlite_sequence' ? [] : [`${sql};`]
    if (type !== 'table') return made
    // Without those that the database works out by itself.
    const columns = (db.pragma(`table_info("${name}")`) as { name: string }[])
      .map((column) => `"${column.name}"`)
      .join(', ')
    const rows = db.prepare(`select ${columns} from "${name}"`).raw().safeIntegers().all() as unknown[][]
    const into = `insert into "${name}" (${columns}) values`
    return [...made, ...rows.map((row) => `${into} (${row.map((value) => quote.get(value)).join(', ')});`)]
  })
  const version = db.pragma('user_version', { simple: true }) as number
  db.close()
  return [...lines, `pragma user_version = ${version};`, ''].join('\n')
}
