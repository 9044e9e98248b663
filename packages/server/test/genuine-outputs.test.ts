import type { FileMetadata } from '@troupe/protocol/file'
import type { Session } from '@troupe/protocol/session'
import type { Step } from '@troupe/demo-model/demo-model'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RecordingModel, recordingModel } from './support/recording-model.ts'
import { type TestServer, testServer } from './support/server.ts'

const scripted = (steps: Step[]) => `Go\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string): Step => ({ tools: [{ name: 'Bash', input: { command } }] })

describe('outputs of a genuine agent', () => {
  let model: RecordingModel
  let server: TestServer
  beforeAll(async () => {
    model = await recordingModel()
    server = await testServer({ agent_executable: undefined }, { env: model.env })
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })
  const agent = { type: 'inline', permission_mode: 'bypassPermissions' }
  const run = async (session: Session, command: string) => {
    await server.send(session.id, scripted([bash(command), { say: 'done' }]))
    await server.idle(session.id)
    return (await server.turns(session.id)).at(-1)!
  }

  test('RS19 the agent reads what it was given and leaves what is listed and downloaded', async () => {
    const form = new FormData()
    form.append('file', new Blob(['a,b\n']), 'data.csv')
    const made = await fetch(`${server.url}/v1/files`, { method: 'POST', body: form })
    const { id } = (await made.json()) as { id: string }
    const resources = [{ type: 'file', file_id: id, mount_path: '/mnt/session/uploads/data.csv' }]
    const session = await server.create(null, { agent, resources })
    const turn = await run(session, 'mkdir outputs && tr a-z A-Z < uploads/data.csv > outputs/upper.csv')
    expect(turn.files).toMatchObject([{ path: 'upper.csv', mime_type: 'text/csv', size_bytes: 4 }])
    const { data } = await server.get<{ data: FileMetadata[] }>(`/v1/files?scope_id=${session.id}`)
    expect(data.map((file) => file.id)).toEqual([turn.files[0]!.file_id])
    expect(await (await fetch(`${server.url}/v1/files/${data[0]!.id}/content`)).text()).toBe('A,B\n')
  })

  test('RS20 who asks for outputs has the agent told of them, in the same words for every turn, and no other has', async () => {
    const asked = await server.create(null, { agent, outputs: 'on' })
    const other = await server.create(null, { agent })
    await run(asked, 'true')
    const first = model.system(asked.uuid)
    expect(first).toContain('folder outputs of your working directory')
    const second = await run(asked, 'mkdir -p outputs && touch outputs/x')
    expect(second.files).toHaveLength(1)
    const third = await run(asked, 'true')
    expect(model.system(asked.uuid)).toBe(first)
    expect([second.cache?.status, third.cache?.status]).toEqual(['hit', 'hit'])
    await run(other, 'true')
    expect(model.system(other.uuid)).not.toContain('folder outputs of your working directory')
    expect(model.system(other.uuid)).not.toBe('')
  })
})
