import { ApiError } from '@troupe/protocol/error'
import { DeletedFile, FileList, FileMetadata, ListFiles } from '@troupe/protocol/file'
import { parseId } from '@troupe/protocol/ids'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { deleteFile, fileToWire, readFile, requireFile } from '../../files/find-file.ts'
import { drop, hashOf, keep, printOf, receive } from '../../files/keep-file.ts'
import type { FileRow } from '../../store/files.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'
import { readUpload } from '../upload.ts'

const tags = ['Files']
const FileParams = z.object({ file_id: z.string().max(256).describe('`file_…`') })
const FILE = '/v1/files/:file_id'
const CONTENT: Record<number, z.ZodType<never>> = replies(z.string().describe('The content')) as never

/** Uploads that are received at once, at most: each holds a file open and fills the disk. */
const MAX_UPLOADS = 16

/** What the first request with this key made or deleted, where its answer was lost. */
const doneBefore = ({ replayEffect }: FastifyRequest): string | null =>
  replayEffect === null ? null : (JSON.parse(replayEffect) as { id: string }).id

/** What the first upload with this key was, and what was answered, if anything was. */
function uploadedBefore({ replayEffect, replayBody }: FastifyRequest) {
  if (replayEffect === null) return null
  const { id, print } = JSON.parse(replayEffect) as { id: string; print?: string }
  return { id, print, answer: replayBody === null ? null : (JSON.parse(replayBody) as FileMetadata) }
}

export function fileRoutes(server: Server, { files, cursors }: RouteContext): void {
  let uploads = 0

  /** Throws `idempotency_key_reused`, unless the form that comes is the one with this print. */
  async function assertSame(request: FastifyRequest, print: string | undefined): Promise<void> {
    const again = await readUpload(
      request.raw,
      (content) => hashOf(files, content),
      async () => undefined,
    )
    if (print === undefined || printOf(again, again.received) === print) return
    request.idempotency = null
    throw new ApiError(
      'idempotency_key_reused',
      'This Idempotency-Key was used with another file; take a new key for a new request.',
    )
  }

  // Forms are read here and nowhere else.
  void server.register(async (scope) => {
    scope.addContentTypeParser('multipart/form-data', (_request, _form, done) => {
      // The form is read by the route, which also knows whether it is the same as before.
      done(null, {})
    })
    ;(scope as Server).post(
      '/v1/files',
      {
        config: { comparesContent: true },
        schema: {
          tags,
          summary: 'Upload a file',
          description: 'A `multipart/form-data` form with one file, named `file`, of at most 500 MiB.',
          response: replies(FileMetadata),
        },
      },
      async (request, reply) => {
        const { workspaceId } = request.caller
        if (!/^multipart\/form-data\b/i.test(request.headers['content-type'] ?? ''))
          throw new ApiError('unsupported_media_type', 'A file is uploaded as a form: multipart/form-data.')
        if (uploads >= MAX_UPLOADS)
          throw new ApiError('queue_full', `${uploads} files are being uploaded, as many as may.`, { retryAfter: 5 })
        uploads++
        try {
          const before = uploadedBefore(request)
          if (before) {
            await assertSame(request, before.print)
            return await reply.send(before.answer ?? fileToWire(await requireFile(files, workspaceId, before.id)))
          }
          const { received, filename, mimeType } = await readUpload(
            request.raw,
            (content) => receive(files, content),
            (left) => drop(files, left),
          )
          const row = await keep(files, received, { workspaceId, filename, mimeType }, request.idempotency)
          return await reply.send(fileToWire(row))
        } finally {
          uploads--
        }
      },
    )
  })

  server.get(
    '/v1/files',
    {
      schema: { tags, summary: 'List files, newest first', querystring: ListFiles, response: replies(FileList) },
    },
    async (request, reply) => {
      const { 'ids[]': ids, scope_id, order = 'desc', limit = 20, page } = request.query
      const { workspaceId } = request.caller
      const scope = ['files', workspaceId, order, ids ?? null, scope_id ?? null]
      const { rows, more } = await files.store.list(
        workspaceId,
        { ids, sessionId: scope_id && (parseId('sesn', scope_id) ?? scope_id) },
        order,
        limit,
        cursors.decode(page, scope),
      )
      const last = rows.at(-1)
      return reply.send({
        data: rows.map(fileToWire),
        next_page: more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null,
        prev_page: null,
      })
    },
  )

  server.get(
    FILE,
    {
      schema: {
        tags,
        summary: 'Retrieve what is known of a file',
        params: FileParams,
        response: replies(FileMetadata),
      },
    },
    async (request, reply) =>
      reply.send(fileToWire(await requireFile(files, request.caller.workspaceId, request.params.file_id))),
  )

  server.get(
    `${FILE}/content`,
    { schema: { tags, summary: 'Download a file', params: FileParams, response: CONTENT } },
    async (request, reply) => {
      const row = await requireFile(files, request.caller.workspaceId, request.params.file_id)
      const content = await readFile(files, row)
      // Who goes away in the middle leaves no file open.
      reply.raw.once('close', () => content.destroy())
      asDownload(reply, row)
      return reply.send(content)
    },
  )

  server.delete(
    FILE,
    { schema: { tags, summary: 'Delete a file', params: FileParams, response: replies(DeletedFile) } },
    async (request, reply) => {
      const id = request.params.file_id
      if (doneBefore(request) === null) await deleteFile(files, request.caller.workspaceId, id, request.idempotency)
      return reply.send({ id, type: 'file_deleted' as const })
    },
  )
}

/** What a stranger sent is saved, never shown: no browser runs it under our name, whatever type it claims. */
function asDownload(reply: FastifyReply, { filename, mimeType, sizeBytes }: FileRow): void {
  const ascii = filename.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_')
  const exact = encodeURIComponent(filename).replaceAll(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16)}`)
  void reply
    .header('content-type', mimeType)
    .header('content-length', sizeBytes)
    .header('content-disposition', `attachment; filename="${ascii}"; filename*=UTF-8''${exact}`)
    .header('x-content-type-options', 'nosniff')
    .header('content-security-policy', "default-src 'none'; sandbox")
    .header('cache-control', 'private, no-store')
}
