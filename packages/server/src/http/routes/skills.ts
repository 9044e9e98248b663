import { ApiError } from '@troupe/protocol/error'
import {
  DeletedSkill,
  DeletedSkillVersion,
  ListSkills,
  Skill,
  SkillList,
  SkillVersion,
  SkillVersionList,
} from '@troupe/protocol/skill'
import { PageQuery } from '@troupe/protocol/session'
import type { FastifyRequest } from 'fastify'
import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import { zip } from '../../lib/zip.ts'
import { iso } from '../../log/wire.ts'
import { skillContent } from '../../skills/skill-content.ts'
import {
  addVersion,
  createSkill,
  deleteSkill,
  deleteVersion,
  requireSkill,
  requireVersion,
  type SkillContext,
} from '../../skills/skills.ts'
import type { SkillRow, SkillVersionRow } from '../../store/skills.ts'
import { replies } from '../reply-schema.ts'
import type { RouteContext, Server } from '../server.ts'
import { readSkillForm, SkillForm } from '../skill-form.ts'

const tags = ['Skills']
const SKILL = '/v1/skills/:skill_id'
const VERSION = `${SKILL}/versions/:version`
const SkillParams = z.object({ skill_id: z.string().max(256).describe('`skill_…`') })
const VersionParams = SkillParams.extend({ version: z.string().max(256).describe('`skver_…` or `latest`') })
const CONTENT: Record<number, z.ZodType<never>> = replies(z.string().describe('A zip archive')) as never
/** In place of a form that is still to be read. */
const FORM = Symbol('form')
/** Skills that are received at once, at most: each is in memory. */
const MAX_UPLOADS = 8

const skillToWire = (row: SkillRow): Skill => ({
  id: row.id,
  type: 'skill',
  display_name: row.displayName,
  latest_version_id: row.latestVersionId,
  source: { type: 'custom' },
  created_at: iso(row.createdAt),
  updated_at: iso(row.updatedAt),
})
const versionToWire = (row: SkillVersionRow): SkillVersion => ({
  id: row.id,
  type: 'skill_version',
  skill_id: row.skillId,
  name: row.name,
  description: row.description,
  created_at: iso(row.createdAt),
})

const effect = ({ idempotency }: FastifyRequest, id: string) =>
  idempotency ? { ...idempotency, result: JSON.stringify({ id }) } : undefined
const doneBefore = ({ replayEffect }: FastifyRequest): string | null =>
  replayEffect === null ? null : (JSON.parse(replayEffect) as { id: string }).id

export function skillRoutes(server: Server, { sessions, cursors, clock }: RouteContext): void {
  const { skills } = sessions.store
  const of = ({ caller }: FastifyRequest): SkillContext => ({ skills, clock, workspaceId: caller.workspaceId })
  let uploads = 0
  const received = async (form: IncomingMessage): Promise<SkillForm> => {
    if (uploads >= MAX_UPLOADS)
      throw new ApiError('queue_full', `${uploads} skills are being uploaded, as many as may.`, { retryAfter: 5 })
    uploads++
    try {
      return await readSkillForm(form)
    } finally {
      uploads--
    }
  }
  const uploaded = ({ body }: FastifyRequest): SkillForm => {
    if (body instanceof SkillForm) return body
    throw new ApiError('unsupported_media_type', 'A skill is uploaded as a form: multipart/form-data.')
  }
  const next = (scope: unknown[], more: boolean, last: { createdAt: number; id: string } | undefined) =>
    more && last ? cursors.encode({ at: last.createdAt, id: last.id, backward: false }, scope) : null

  // Forms are read here and nowhere else.
  void server.register(async (plain) => {
    plain.addContentTypeParser('multipart/form-data', (_request, _form, done) => done(null, FORM))
    // Read before the route, so that an Idempotency-Key is compared with what is in the form.
    plain.addHook('preValidation', async (request) => {
      if (request.body === FORM) request.body = await received(request.raw)
    })
    const scope = plain as Server
    scope.post(
      '/v1/skills',
      {
        schema: {
          tags,
          summary: 'Upload a skill, with its first version',
          description:
            'A `multipart/form-data` form of files, named `files[]`, that lie in one folder with SKILL.md at its top; at most 8 MiB.',
          response: replies(Skill),
        },
      },
      async (request, reply) => {
        const id = doneBefore(request)
        if (id !== null) return reply.send(skillToWire(await requireSkill(of(request), id)))
        const { files, displayName } = uploaded(request)
        const row = await createSkill(of(request), skillContent(files), displayName, (made) => effect(request, made))
        return reply.send(skillToWire(row))
      },
    )
    scope.post(
      `${SKILL}/versions`,
      {
        schema: {
          tags,
          summary: 'Upload a new version of a skill',
          description: 'Agents keep the version that they have; what names the skill from now on gets this one.',
          params: SkillParams,
          response: replies(SkillVersion),
        },
      },
      async (request, reply) => {
        const { skill_id } = request.params
        const id = doneBefore(request)
        if (id !== null) return reply.send(versionToWire(await requireVersion(of(request), skill_id, id)))
        await requireSkill(of(request), skill_id)
        const { files } = uploaded(request)
        const row = await addVersion(of(request), skill_id, skillContent(files), (made) => effect(request, made))
        return reply.send(versionToWire(row))
      },
    )
  })

  server.get(
    '/v1/skills',
    { schema: { tags, summary: 'List skills, newest first', querystring: ListSkills, response: replies(SkillList) } },
    async (request, reply) => {
      const { source, limit = 20, page } = request.query
      const { workspaceId } = request.caller
      const scope = ['skills', workspaceId, source ?? null]
      const from = cursors.decode(page, scope)
      // Nobody else's are here.
      if (source != null && source !== 'custom') return reply.send({ data: [], next_page: null, prev_page: null })
      const { rows, more } = await skills.list(workspaceId, limit, from)
      return reply.send({ data: rows.map(skillToWire), next_page: next(scope, more, rows.at(-1)), prev_page: null })
    },
  )

  server.get(
    SKILL,
    { schema: { tags, summary: 'Retrieve a skill', params: SkillParams, response: replies(Skill) } },
    async (request, reply) => reply.send(skillToWire(await requireSkill(of(request), request.params.skill_id))),
  )

  server.delete(
    SKILL,
    {
      schema: {
        tags,
        summary: 'Delete a skill with its versions',
        description: 'Sessions that have it go on without it, and say so.',
        params: SkillParams,
        response: replies(DeletedSkill),
      },
    },
    async (request, reply) => {
      const id = request.params.skill_id
      if (doneBefore(request) === null) await deleteSkill(of(request), id, effect(request, id))
      return reply.send({ id, type: 'skill_deleted' as const })
    },
  )

  server.get(
    `${SKILL}/versions`,
    {
      schema: {
        tags,
        summary: 'List the versions of a skill, newest first',
        params: SkillParams,
        querystring: PageQuery,
        response: replies(SkillVersionList),
      },
    },
    async (request, reply) => {
      const { limit = 20, page } = request.query
      const { id } = await requireSkill(of(request), request.params.skill_id)
      const scope = ['skill_versions', id]
      const { rows, more } = await skills.versions(id, limit, cursors.decode(page, scope))
      return reply.send({ data: rows.map(versionToWire), next_page: next(scope, more, rows.at(-1)), prev_page: null })
    },
  )

  server.get(
    VERSION,
    { schema: { tags, summary: 'Retrieve a version', params: VersionParams, response: replies(SkillVersion) } },
    async (request, reply) => {
      const { skill_id, version } = request.params
      return reply.send(versionToWire(await requireVersion(of(request), skill_id, version)))
    },
  )

  server.get(
    `${VERSION}/content`,
    {
      schema: {
        tags,
        summary: 'Download a version as a zip archive',
        description: 'As it was uploaded. Agents get SKILL.md with what runs or allows nothing.',
        params: VersionParams,
        response: CONTENT,
      },
    },
    async (request, reply) => {
      const { skill_id, version } = request.params
      const row = await requireVersion(of(request), skill_id, version)
      const files = await skills.files(row.id)
      const archive = zip(files.map(({ path, content }) => ({ path: `${row.name}/${path}`, content })))
      return reply
        .header('content-type', 'application/zip')
        .header('content-disposition', `attachment; filename="${row.name}.zip"`)
        .header('x-content-type-options', 'nosniff')
        .header('cache-control', 'private, no-store')
        .send(archive)
    },
  )

  server.delete(
    VERSION,
    {
      schema: {
        tags,
        summary: 'Delete a version',
        description: 'A skill keeps at least one.',
        params: VersionParams,
        response: replies(DeletedSkillVersion),
      },
    },
    async (request, reply) => {
      const { skill_id, version } = request.params
      if (doneBefore(request) === null) await deleteVersion(of(request), skill_id, version, effect(request, version))
      return reply.send({ id: version, type: 'skill_version_deleted' as const })
    },
  )
}
