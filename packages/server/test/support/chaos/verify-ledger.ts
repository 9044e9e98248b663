import type { Database } from 'better-sqlite3'
import type { World } from './world.ts'

/** The accounts of sessions and turns against the ledger, to the last token and the last billionth of a dollar. */
export function verifyLedger(world: World, db: Database): void {
  const sums = `coalesce(sum(input_tokens), 0) as input, coalesce(sum(output_tokens), 0) as output,
    coalesce(sum(cost_nano), 0) as cost, coalesce(sum(unreported_requests), 0) as unreported`
  for (const [table, key] of [
    ['sessions', 'session_id'],
    ['turns', 'turn_id'],
  ] as const) {
    const ledger = db.prepare(`select ${sums} from ledger where ${key} = ?`)
    const rows = db.prepare(`select id, usage from ${table} where usage is not null`).all()
    for (const { id, usage } of rows as { id: string; usage: string }[]) {
      const said = JSON.parse(usage) as Record<string, number>
      const { inputTokens, outputTokens, costUsd, unreportedRequests } = said
      const account = [inputTokens, outputTokens, Math.round(costUsd! * 1e9), unreportedRequests].join()
      const booked = Object.values(ledger.get(id) as object).join()
      if (account !== booked) world.problem(`the account of ${id} is ${account}, the ledger has ${booked}`)
      world.count(`accounts of ${table}`)
    }
  }
  const cut = db.prepare(
    `select id from turns where error like '%server_restarted%' and started_at is not null
       and coalesce(json_extract(usage, '$.unreportedRequests'), 0) = 0`,
  )
  for (const { id } of cut.all() as { id: string }[]) world.problem(`${id} was cut, and nothing is marked`)
}
