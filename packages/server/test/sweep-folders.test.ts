import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { idToUuid, newId } from '@troupe/protocol/ids'
import { expect, test } from 'vitest'
import { sweepFolders } from '../src/sessions/sweep-folders.ts'
import { testServer } from './support/server.ts'

test('S6 folders that a killed server left without a session are removed; those of sessions and of others stay', async () => {
  const server = await testServer()
  const { uuid } = await server.create(null)
  const sessions = join(server.folder, 'data', 'sessions')
  const orphan = idToUuid(newId('sesn'))
  mkdirSync(join(sessions, orphan, 'workdir'), { recursive: true })
  mkdirSync(join(sessions, 'not-a-session'))
  const names = readdirSync(sessions)
  expect(await sweepFolders(server.app.store, sessions, names, new AbortController().signal)).toBe(1)
  expect(readdirSync(sessions).sort()).toEqual([uuid, 'not-a-session'].sort())
  await server.stop()
})
