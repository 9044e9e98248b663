import { ApiError } from '@troupe/protocol/error'
import { ArchiveQuery, ExportQuery, ImportSession } from '@troupe/protocol/branch'
import { Session } from '@troupe/protocol/session'
import type { FastifyReply } from 'fastify'
import { Readable } from 'node:stream'
import { stat } from 'node:fs/promises'
import { z } from 'zod'
import { requireSession } from '../../sessions/change-session.ts'
import { EXPORT_CSP } from '../../sessions/export-html.ts'
import { EXPORTS, exportSession } from '../../sessions/export-session.ts'
import { importSession } from '../../sessions/import-session.ts'
import { sessionToWire } from '../../sessions/session-status.ts'
import { sessionIdOf, SessionParams } from '../params.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'

const tags = ['Export']

/** Downloads of workdirs at once: each is a process that reads and packs. */
const MAX_ARCHIVES = 8

const FILE: Record<number, z.ZodType<never>> = replies(z.string().describe('The file')) as never

export function exportRoutes(server: Server, { sessions, clock, about, logger }: RouteContext): void {
  let archives = 0

  server.get(
    '/v1/sessions/:session_id/export',
    {
      schema: {
        tags,
        summary: 'Export a session',
        description:
          '`jsonl`: every event, a line each. `markdown` and `html`: to read; the page needs nothing else and runs nothing. `claude`: the native transcript.',
        params: SessionParams,
        querystring: ExportQuery,
        response: FILE,
      },
    },
    async (request, reply) => {
      const format = request.query.format ?? 'jsonl'
      const { session, pieces } = await exportSession(sessions, sessionIdOf(request.params.session_id), format)
      const { type, suffix } = EXPORTS[format]
      attachment(reply, type, `${session.id}.${suffix}`)
      if (format === 'html') void reply.header('content-security-policy', EXPORT_CSP)
      return reply.send(Readable.from(pieces, { objectMode: false }))
    },
  )

  server.get(
    '/v1/sessions/:session_id/workdir',
    {
      schema: {
        tags,
        summary: 'Download the workdir',
        description:
          'As an archive, packed while it is read. Links are links in it; what they lead to is not. While the agent works, files are as they are met.',
        params: SessionParams,
        querystring: ArchiveQuery,
        response: FILE,
      },
    },
    async (request, reply) => {
      const session = await requireSession(sessions, sessionIdOf(request.params.session_id))
      const folder = await stat(session.cwd).catch(() => null)
      if (!folder?.isDirectory())
        throw new ApiError(
          'cwd_not_found',
          `The workdir ${session.cwd} of session ${session.id} is not there any more.`,
        )
      if (archives >= MAX_ARCHIVES)
        throw new ApiError('queue_full', `${archives} workdirs are being downloaded, as many as may.`, {
          retryAfter: 5,
        })
      const format = request.query.format ?? 'tar.gz'
      const stream = sessions.snapshots.archive(session.cwd, format)
      archives++
      stream.once('close', () => archives--)
      stream.once('error', (err) => logger.warn({ session: session.id, err }, 'a workdir could not be packed'))
      reply.raw.once('close', () => stream.destroy())
      attachment(reply, format === 'tar' ? 'application/x-tar' : 'application/gzip', `${session.id}.${format}`)
      return reply.send(stream)
    },
  )

  server.post(
    '/v1/sessions/import',
    {
      schema: {
        tags,
        summary: 'Import a native transcript',
        description:
          'A session that goes on with a conversation of Claude Code, under its id. A transcript that is here already is that session (`converged`); one that somebody else went on with is refused.',
        body: ImportSession,
        response: replies(Session),
      },
    },
    async (request, reply) => {
      const effect = request.replayEffect && (JSON.parse(request.replayEffect) as { session_id: string })
      const { session, converged } = effect
        ? { session: await requireSession(sessions, effect.session_id), converged: false }
        : await importSession(sessions, request.caller, request.body, request.idempotency)
      const wire = await sessionToWire(sessions.store, session, clock.now(), about.admission())
      return reply.send({ ...wire, ...(converged && { converged }) })
    },
  )
}

function attachment(reply: FastifyReply, type: string, name: string): void {
  void reply
    .type(type)
    .header('content-disposition', `attachment; filename="${name}"`)
    .header('x-content-type-options', 'nosniff')
    .header('cache-control', 'no-store')
}
