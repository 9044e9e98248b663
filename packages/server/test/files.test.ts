import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { toFile } from 'anthropic-sdk-1.12'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { keep, receive } from '../src/files/keep-file.ts'
import { systemClock } from '../src/lib/clock.ts'
import { killableServer } from './support/killable-server.ts'
import { all, counted, GENERATIONS } from './support/sdk-clients.ts'
import { type TestServer, testServer } from './support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await testServer()
})
afterAll(() => server.stop())

const folder = () => join(server.folder, 'data', 'files')
const onDisk = () => {
  try {
    return readdirSync(folder()).toSorted()
  } catch {
    return []
  }
}

/** Sends a form as it is written, and gives status and body. */
async function post(form: FormData | string, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}/v1/files`, { method: 'POST', body: form, headers })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const form = (name: string, content: string | Uint8Array<ArrayBuffer>, type = 'text/plain', field = 'file') => {
  const made = new FormData()
  made.append(field, new Blob([content], { type }), name)
  return made
}
/** A form whose filename stands there exactly so. */
const raw = (filename: string) =>
  post(
    `--x\r\ncontent-disposition: form-data; name="file"; filename="${filename}"\r\ncontent-type: text/plain\r\n\r\nhi\r\n--x--\r\n`,
    { 'content-type': 'multipart/form-data; boundary=x' },
  )

describe.each(GENERATIONS)('files by the official SDK $version', ({ Client }) => {
  test('FI1 files are uploaded, listed, retrieved, downloaded byte for byte, and deleted', async () => {
    const { files } = new Client(counted(server.url).options).beta
    const content = Buffer.from(Array.from({ length: 100_000 }, (_, n) => (n * 31) % 256))
    const first = await files.upload({ file: await toFile(content, 'data.bin', { type: 'application/x-test' }) })
    expect(first).toMatchObject({
      type: 'file',
      filename: 'data.bin',
      mime_type: 'application/x-test',
      size_bytes: content.length,
      downloadable: true,
    })
    const second = await files.upload({ file: await toFile(Buffer.from(''), '空.txt', { type: 'text/plain' }) })
    expect(second).toMatchObject({ filename: '空.txt', size_bytes: 0 })
    const ids = [first.id, second.id]
    expect((await all(files.list({ ids, limit: 1 }))).map(({ id }) => id)).toEqual(ids.toReversed())
    expect(await files.retrieveMetadata(first.id)).toEqual(first)
    expect(Buffer.from(await (await files.download(first.id)).arrayBuffer()).equals(content)).toBe(true)
    expect(await files.delete(first.id)).toEqual({ id: first.id, type: 'file_deleted' })
    await expect(files.retrieveMetadata(first.id)).rejects.toBeInstanceOf(Client.NotFoundError)
    await expect(files.download(first.id)).rejects.toBeInstanceOf(Client.NotFoundError)
    await expect(files.delete(first.id)).rejects.toBeInstanceOf(Client.NotFoundError)
    expect(onDisk()).not.toContain(first.id)
    expect(onDisk()).toContain(second.id)
  })
})

test('FI2 a name that could be a path is refused, and contents lie under their ids', async () => {
  const before = onDisk()
  for (const name of ['../up', '/etc/x', 'a/b', '..', '.', ' ', 'a\tb', 'n'.repeat(256)])
    expect([name, (await raw(name)).body.code]).toEqual([name, 'validation_failed'])
  expect((await raw('a\\\\b')).body.code).toBe('validation_failed')
  expect(onDisk()).toEqual(before)
  const { body } = await raw('..hidden')
  expect(body.filename).toBe('..hidden')
  expect(onDisk()).toEqual([...before, body.id].toSorted())
})

test('FI3 a download is saved and never shown', async () => {
  const { body } = await post(form('a "b" é.html', '<script>1</script>', 'text/html'))
  const response = await fetch(`${server.url}/v1/files/${String(body.id)}/content`)
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'text/html',
    'content-length': '18',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
  })
  expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="[^"%\\]+"; filename\*=UTF-8''/)
  expect(await response.text()).toBe('<script>1</script>')
  const odd = await post(form('x', 'x', 'text/plain\u00e9; x'))
  expect(odd.body.mime_type).toMatch(/^[a-z/-]+$/)
})

describe('forms', () => {
  test('FI4 another form is refused and leaves nothing', async () => {
    const before = onDisk()
    const two = form('a', 'a')
    two.append('file', new Blob(['b']), 'b')
    const expiring = form('a', 'a')
    expiring.append('expires_in_seconds', '3600')
    const none = new FormData()
    none.append('note', 'x')
    expect((await post(two)).body.code).toBe('validation_failed')
    expect((await post(expiring)).body.code).toBe('unsupported_feature')
    expect((await post(none)).body.code).toBe('validation_failed')
    expect((await post(form('a', 'a', 'text/plain', 'other'))).body.code).toBe('validation_failed')
    expect((await post('x', { 'content-type': 'multipart/form-data' })).body.code).toBe('validation_failed')
    const cut = '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nhi'
    expect((await post(cut, { 'content-type': 'multipart/form-data; boundary=x' })).body.code).toBe('validation_failed')
    expect((await post(form('a', 'a'), { origin: 'https://elsewhere.example' })).body.code).toBe('origin_not_allowed')
    expect((await post('{}', { 'content-type': 'application/json' })).status).toBe(415)

    expect(onDisk()).toEqual(before)
  })

  test('FI4 an upload that is cut off leaves nothing', async () => {
    const before = onDisk()
    const { hostname, port } = new URL(server.url)
    const sending = httpRequest({
      host: hostname,
      port,
      method: 'POST',
      path: '/v1/files',
      headers: { 'content-type': 'multipart/form-data; boundary=x', 'content-length': '100000' },
    })
    sending.on('error', () => undefined)
    sending.write('--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nhello')
    await expect.poll(() => onDisk().length).toBe(before.length + 1)
    sending.destroy()
    await expect.poll(onDisk).toEqual(before)
  })
})

test('FI5 a file larger than may be is refused while it comes, and one larger than a JSON body is not', async () => {
  const { body } = await post(form('large', Buffer.alloc(33 * 2 ** 20)))
  expect(body.size_bytes).toBe(33 * 2 ** 20)
  const small = mkdtempSync(join(tmpdir(), 'troupe-files-'))
  const context = { store: server.app.store.files, folder: small, clock: systemClock, maxBytes: 10 }
  const pieces = Readable.from([Buffer.alloc(6), Buffer.alloc(6), Buffer.alloc(6)])
  await expect(receive(context, pieces)).rejects.toMatchObject({ code: 'body_too_large' })
  expect(readdirSync(small)).toEqual([])
})

test('FI6 what nobody owns is removed at the next start, and nothing else', async () => {
  const { body } = await post(form('kept', 'kept'))
  const owned = onDisk()
  writeFileSync(join(folder(), 'file_00000000000000000000000000'), 'lost its row')
  writeFileSync(join(folder(), 'file_00000000000000000000000001.part'), 'never whole')
  await server.restart()
  expect(onDisk()).toEqual(owned)
  expect(await (await fetch(`${server.url}/v1/files/${String(body.id)}/content`)).text()).toBe('kept')
})

test('FI7 an upload under an idempotency key is done once', async () => {
  const key = { 'idempotency-key': 'upload-once' }
  const first = await post(form('once', 'once'), key)
  const count = onDisk().length
  expect((await post(form('once', 'once'), key)).body).toEqual(first.body)
  for (const other of [
    form('once', 'once, longer'),
    form('once', 'eno.'),
    form('eno.', 'once'),
    form('once', 'once', 'a/b'),
  ])
    expect((await post(other, key)).body.code).toBe('idempotency_key_reused')
  expect(onDisk()).toHaveLength(count)
  // A refusal takes nothing from the answer that was given, and neither does the end of the file.
  await server.restart()
  expect((await post(form('once', 'once'), key)).body).toEqual(first.body)
  await server.request('DELETE', `/v1/files/${String(first.body.id)}`)
  expect((await post(form('once', 'once'), key)).body).toEqual(first.body)
  expect(onDisk()).toHaveLength(count - 1)
})

test('FI8 nothing of another workspace is found', async () => {
  const { body } = await post(form('mine', 'mine'))
  const id = String(body.id)
  const { files } = server.app.store
  expect(await files.read('wrkspc_other', id)).toBeNull()
  expect(await files.delete('wrkspc_other', id)).toBe(false)
  expect((await files.list('wrkspc_other', { ids: [id] }, 'asc', 10, null)).rows).toEqual([])
  expect((await files.read('wrkspc_default', id))?.id).toBe(id)
})

test('FI9 a workspace has no more files and bytes than it may', async () => {
  const { files } = server.app.store
  const row = { id: 'file_a', workspaceId: 'wrkspc_small', filename: 'a', mimeType: 'a/b', sizeBytes: 6, createdAt: 1 }
  await files.create(row, { files: 2, bytes: 10 })
  await expect(files.create({ ...row, id: 'file_b' }, { files: 2, bytes: 10 })).rejects.toThrow('6 bytes of files')
  await files.create({ ...row, id: 'file_b', sizeBytes: 4 }, { files: 2, bytes: 10 })
  await expect(files.create({ ...row, id: 'file_c', sizeBytes: 0 }, { files: 2, bytes: 10 })).rejects.toThrow('2 files')
  const lost = mkdtempSync(join(tmpdir(), 'troupe-files-'))
  const full = { ...files, create: () => files.create({ ...row, id: 'file_d' }, { files: 2, bytes: 10 }) }
  const context = { store: full, folder: lost, clock: systemClock, maxBytes: 10 }
  const received = await receive(context, Readable.from([Buffer.from('x')]))
  await expect(keep(context, received, row, null)).rejects.toMatchObject({ code: 'file_limit' })
  expect(readdirSync(lost)).toEqual([])
})

test('FI10 a disk that is full refuses an upload with 503, keeps nothing of it, and takes the next one that fits', async () => {
  const lost = mkdtempSync(join(tmpdir(), 'troupe-files-'))
  const context = { store: server.app.store.files, folder: lost, clock: systemClock, maxBytes: 100 }
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  const content = Readable.from(
    (async function* () {
      yield Buffer.from('half')
      throw full
    })(),
  )
  await expect(receive(context, content)).rejects.toMatchObject({ name: 'StorageUnavailable', reason: 'disk_full' })
  expect(readdirSync(lost)).toEqual([])
})

/** A file system of a megabyte; only root makes one. */
const tinyDisk = (place: string) => {
  mkdirSync(place, { recursive: true })
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place], { stdio: 'ignore' })
  if (status === 0) onTestFinished(() => void spawnSync('umount', [place]))
  return status === 0
}

test('FI10 the same on a real file system of a megabyte, where one can be made', async ({ skip }) => {
  const small = await testServer()
  onTestFinished(() => small.stop())
  const place = join(small.folder, 'data', 'files')
  if (!tinyDisk(place)) skip('no tmpfs can be mounted here')
  const send = async (bytes: number) => {
    const response = await fetch(`${small.url}/v1/files`, { method: 'POST', body: form('a', Buffer.alloc(bytes)) })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const refused = await send(4 * 2 ** 20)
  expect([refused.status, refused.body.code]).toEqual([503, 'storage_unavailable'])
  expect(refused.body.detail).toContain('full')
  expect(readdirSync(place)).toEqual([])
  expect((await send(1_000)).status).toBe(200)
})

test('FI11 a kill -9 while files are uploaded leaves, behind the next start, whole files and nothing else', async () => {
  const data = mkdtempSync(join(tmpdir(), 'troupe-files-'))
  const killed = await killableServer(data)
  const place = join(data, 'data', 'files')
  const whole = await fetch(`${killed.url}/v1/files`, { method: 'POST', body: form('whole', 'whole') })
  const { id } = (await whole.json()) as { id: string }
  const { hostname, port } = new URL(killed.url)
  const headers = { 'content-type': 'multipart/form-data; boundary=x', 'content-length': '1000000' }
  const sending = httpRequest({ host: hostname, port, method: 'POST', path: '/v1/files', headers })
  sending.on('error', () => undefined)
  sending.write('--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nhello')
  await expect.poll(() => readdirSync(place).length).toBe(2)
  await killed.kill()
  expect(readdirSync(place)).toHaveLength(2)
  const next = await killableServer(data)
  expect(readdirSync(place)).toEqual([id])
  const { data: listed } = (await (await fetch(`${next.url}/v1/files`)).json()) as { data: { id: string }[] }
  expect(listed.map((file) => file.id)).toEqual([id])
  await next.stop()
})
