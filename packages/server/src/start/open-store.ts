import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { forgetAudit } from '../audit/refusals.ts'
import type { Config } from '../config.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { lockDataFolder } from '../store/data-lock.ts'
import { openSqliteStore } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import type { Undo } from './undo.ts'

/** Keys and outbox rows are kept this long, in ms. */
const IDEMPOTENCY_MS = 24 * 3_600_000
const OUTBOX_MS = 3 * 24 * 3_600_000
const SWEEP_EVERY_MS = 3_600_000
const DAY_MS = 24 * 3_600_000

/** Makes the data folder this server's and opens what is in it, without what is too old. Throws `DataFolderInUse`. */
export async function openStore(
  config: Config,
  clock: Clock,
  wrap: ((store: Store) => Store) | undefined,
  undo: Undo,
): Promise<Store> {
  mkdirSync(config.data_dir, { recursive: true, mode: 0o700 })
  const lock = lockDataFolder(config.data_dir)
  undo.push(() => lock.release())
  const sqlite = openSqliteStore(join(config.data_dir, 'troupe.db'), {
    retentionMs: config.retention_days === null ? null : Math.round(config.retention_days * 86_400_000),
    now: () => clock.now(),
  })
  undo.push(() => sqlite.close())
  const store = wrap?.(sqlite) ?? sqlite
  await sweep(store, config, clock, true)
  return store
}

/** Drops every hour what has become too old; the answer ends that. */
export function sweepHourly(store: Store, config: Config, clock: Clock, logger: Logger): () => void {
  const sweeper = setInterval(
    () => void sweep(store, config, clock, false).catch((err: unknown) => logger.warn({ err }, 'sweep failed')),
    SWEEP_EVERY_MS,
  )
  return () => clearInterval(sweeper)
}

async function sweep(store: Store, config: Config, clock: Clock, boot: boolean): Promise<void> {
  await store.sweep(
    {
      idempotency: clock.now() - IDEMPOTENCY_MS,
      outbox: clock.now() - OUTBOX_MS,
      tokens: clock.now() - SWEEP_EVERY_MS,
    },
    boot,
  )
  await forgetAudit(store.audit, clock.now() - config.audit_days * DAY_MS)
}
