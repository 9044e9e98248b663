import { Busboy, type BusboyHeaders } from '@fastify/busboy'
import { ApiError } from '@troupe/protocol/error'
import { MAX_SKILL_BYTES, MAX_SKILL_FILES } from '@troupe/protocol/skill'
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** A skill as it was sent; nothing of it has been looked at. */
export class SkillForm {
  readonly displayName: string | null
  readonly files: { path: string; content: Buffer }[]

  constructor(displayName: string | null, files: { path: string; content: Buffer }[]) {
    this.displayName = displayName
    this.files = files
  }

  /** What tells it from another one. */
  toJSON(): object {
    const hash = createHash('sha256')
    for (const { path, content } of this.files) hash.update(JSON.stringify([path, content.length])).update(content)
    return { display_name: this.displayName, sha256: hash.digest('base64url') }
  }
}

const refused = (pointer: string, detail: string) =>
  new ApiError('validation_failed', detail, { errors: [{ pointer, code: 'custom', detail }] })

/**
 * Reads a multipart form of files, named `files` or `files[]`, into memory: at most 8 MiB. Throws `validation_failed`
 * for another form, `body_too_large`.
 */
export async function readSkillForm(request: IncomingMessage): Promise<SkillForm> {
  const form = Promise.withResolvers<void>()
  const fail = (error: unknown) => form.reject(error)
  const files: { path: string; content: Buffer }[] = []
  let displayName: string | null = null
  let bytes = 0
  try {
    const parser = new Busboy({
      headers: request.headers as BusboyHeaders,
      preservePath: true,
      limits: { files: MAX_SKILL_FILES + 1, fields: 4, fieldSize: 2048, fieldNameSize: 100, headerPairs: 32 },
    })
    parser.on('file', (field, content, filename) => {
      void form.promise.catch((error: Error) => content.destroy(error))
      content.on('error', fail)
      if (field !== 'files' && field !== 'files[]')
        return fail(refused('/', `The files must be the field "files"; ${JSON.stringify(field)} came.`))
      const pieces: Buffer[] = []
      content.on('data', (piece: Buffer) => {
        bytes += piece.length
        if (bytes > MAX_SKILL_BYTES)
          fail(new ApiError('body_too_large', `The skill is larger than ${MAX_SKILL_BYTES} bytes.`))
        else pieces.push(piece)
      })
      content.on('end', () => files.push({ path: filename ?? '', content: Buffer.concat(pieces) }))
      return undefined
    })
    parser.on('field', (name, value) => {
      if (name !== 'display_name') return fail(refused('/', `${JSON.stringify(name)} is no field of a skill.`))
      if (value.trim() === '' || [...value].length > 255 || /\p{Cc}/u.test(value))
        return fail(refused('/display_name', 'display_name is one line of at most 255 characters.'))
      displayName = value
      return undefined
    })
    parser.on('filesLimit', () => fail(refused('/files', `The skill has more than ${MAX_SKILL_FILES} files.`)))
    for (const limit of ['fieldsLimit', 'partsLimit'] as const)
      parser.on(limit, () => fail(refused('/', 'The form has too many fields.')))
    parser.on('error', (error) => fail(refused('/', `The form cannot be read: ${String((error as Error).message)}`)))
    parser.on('finish', () => form.resolve())
    request.on('close', () => request.complete || fail(refused('/', 'The form ended before it was whole.')))
    void form.promise.catch(() => {
      request.unpipe(parser)
      request.resume()
    })
    request.pipe(parser)
  } catch (error) {
    fail(refused('/', `The form cannot be read: ${(error as Error).message}`))
  }
  await form.promise
  if (files.length === 1 && files[0]!.path.toLowerCase().endsWith('.zip'))
    throw new ApiError('unsupported_feature', 'A skill is sent file by file; archives are not unpacked.')
  return new SkillForm(displayName, files)
}
