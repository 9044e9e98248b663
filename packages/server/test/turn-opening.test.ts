import { idToUuid, newId } from '@troupe/protocol/ids'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openTurn } from '../src/runner/turn-opening.ts'
import { openSqliteStore } from '../src/store/sqlite.ts'
import type { Store } from '../src/store/store.ts'
import { change, event, sessionRow, turnRow } from './support/rows.ts'

let folder: string
let store: Store & { close(): void | Promise<void> }
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-opening-'))
  store = openSqliteStore(join(folder, 'troupe.db'))
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true, force: true })
})

const prompt = (id: string) => ({
  type: 'user',
  uuid: idToUuid(id),
  message: { content: [{ type: 'text', text: 'x' }] },
})
const answer = (text: string) => ({
  type: 'assistant',
  uuid: newId('sevt'),
  message: { stop_reason: 'end_turn', content: [{ type: 'text', text }] },
})

test('Y7 the answer to a later input does not pass for the answer of a turn that is taken up again', async () => {
  const session = sessionRow()
  const inputs = [event('user.message'), event('user.message')]
  const [own, later] = inputs.map(({ id }) => id) as [string, string]
  const turn = turnRow(session.id, { resume: 'recovery', inputEventIds: [own] })
  await store.createSession(session, change(session.id, { events: inputs, newTurns: [turn] }))
  const write = (entries: object[]) =>
    store.appendTranscript(
      session.id,
      '',
      entries.map((entry) => ({ uuid: (entry as { uuid: string }).uuid, body: JSON.stringify(entry) })),
    )
  const open = async () => {
    const rows = [(await store.readEvent(session.id, own))!]
    return openTurn(store, turn, rows, { taken: new Set([own]), isSent: () => false })
  }
  await write([prompt(own), answer('mine')])
  expect(await open()).toMatchObject({ finished: { text: 'mine', structured: null }, recover: false, message: [] })
  await write([prompt(later), answer('not mine')])
  expect(await open()).toMatchObject({ finished: null, recover: false, message: [{ id: own }] })
})
