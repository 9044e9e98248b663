import { newId } from '@troupe/protocol/ids'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { resolveAgent } from '../../packages/server/src/agents/resolve-agent.ts'
import { systemClock } from '../../packages/server/src/lib/clock.ts'
import { silentLogger } from '../../packages/server/src/lib/logger.ts'
import { EventLog } from '../../packages/server/src/log/event-log.ts'
import { Wakeups } from '../../packages/server/src/log/wakeups.ts'
import { LOCAL_CALLER } from '../../packages/server/src/sessions/caller.ts'
import type { SessionContext } from '../../packages/server/src/sessions/context.ts'
import { approvalSettings, createSession } from '../../packages/server/src/sessions/create-session.ts'
import { deleteSession } from '../../packages/server/src/sessions/edit-session.ts'
import { newEvent } from '../../packages/server/src/sessions/new-event.ts'
import { forkSession } from '../../packages/server/src/sessions/fork-session.ts'
import { Git } from '../../packages/server/src/snapshots/git.ts'
import { Snapshots } from '../../packages/server/src/snapshots/snapshots.ts'
import { openSqliteStore } from '../../packages/server/src/store/sqlite.ts'
import { inTurn } from '../lib/stats.ts'
import { type Case, ms, times } from '../lib/table.ts'

const EVENTS = 5_000
const FILES = 2_000
const FILE_BYTES = 100_000

/** A fork of a long session with a large workdir that has been kept, against copying that workdir alone. */
export const fork: Case = {
  name: 'fork',
  async *run({ quick }) {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-bench-'))
    const context = contextIn(folder)
    const { store, snapshots } = context
    const session = await createSession(
      context,
      LOCAL_CALLER,
      {
        agent: resolveAgent(undefined, null),
        cwd: null,
        env: {},
        maxTurns: null,
        inputs: [],
        title: null,
        metadata: {},
        externalId: null,
        source: 'native',
        approvals: approvalSettings({}),
        recovery: 'auto',
        rules: [],
      },
      null,
    )
    const text = 'x'.repeat(800)
    for (let n = 0; n < EVENTS; n += 500) {
      const at = Date.now()
      const events = Array.from({ length: 500 }, () =>
        newEvent('agent.message', null, at, { content: [{ type: 'text', text }] }),
      )
      await store.commit({ sessionId: session.id, at, events })
      const entries = events.map(({ body }) => ({
        uuid: crypto.randomUUID(),
        body: JSON.stringify({ type: 'assistant', cwd: session.cwd, message: body }),
      }))
      await store.appendTranscript(session.id, '', entries)
    }
    for (let n = 0; n < FILES; n++) {
      const dir = join(session.cwd, `${n % 40}`)
      mkdirSync(dir, { recursive: true })
      writeFileSync(join(dir, `${n}`), randomBytes(FILE_BYTES))
    }
    await snapshots.take(session, null, 'after', EVENTS)
    let count = 0
    const ours = async () => {
      const begun = performance.now()
      const { id } = await forkSession(context, LOCAL_CALLER, session.id, {}, null)
      const spent = performance.now() - begun
      await deleteSession(context, id)
      return spent
    }
    const bare = async () => {
      const to = join(folder, `copy-${newId('node')}-${++count}`)
      const begun = performance.now()
      await promisify(execFile)('cp', ['-a', session.cwd, to])
      const spent = performance.now() - begun
      rmSync(to, { recursive: true })
      return spent
    }
    await inTurn(1, ours, bare)
    const [troupe, cp] = await inTurn(quick ? 3 : 9, ours, bare)
    yield {
      what: `fork, ${EVENTS} events, ${FILES} files of ${FILE_BYTES / 1000} kB (bare: cp -a)`,
      value: ms(troupe),
      bare: ms(cp),
      ratio: times(troupe / cp),
      aim: '≤ 1 s where files are cloned, else ≤ 1.2×',
    }
    await store.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  },
}

function contextIn(folder: string): SessionContext {
  const store = openSqliteStore(join(folder, 'troupe.db'))
  const sessionsDir = join(folder, 'sessions')
  const searchPath = process.env.PATH
  return {
    store,
    log: new EventLog(store, new Wakeups()),
    clock: systemClock,
    spares: { take: () => null },
    repositories: { git: { path: process.env.PATH, env: {} }, sources: [] },
    files: { store: store.files, folder: join(folder, 'files'), clock: systemClock, maxBytes: 2 ** 20 },
    snapshots: new Snapshots({
      store,
      clock: systemClock,
      logger: silentLogger,
      git: new Git(searchPath),
      searchPath,
      sessionsDir,
      mode: 'auto',
    }),
    settings: {
      modelSource: 'configured',
      defaultModel: null,
      defaultCwd: null,
      sessionsDir,
      agentUser: null,
      agentProblem: null,
      bypassProblem: null,
      sandboxProblem: async () => null,
      containerProblem: async () => null,
      maxQueuedTurns: 1000,
      originApprovalSeconds: 0,
      maxQueuedSessions: 1_000_000,
      maxRunningPerKey: 1,
      allowStdioMcp: false,
    },
  }
}
