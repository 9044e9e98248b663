import { Busboy, type BusboyHeaders } from '@fastify/busboy'
import { ApiError } from '@troupe/protocol/error'
import type { IncomingMessage } from 'node:http'
import { nameProblem } from '../files/file-name.ts'
import type { Readable } from 'node:stream'

/** What a form's one file says of itself. */
export interface Upload<T> {
  filename: string
  mimeType: string
  /** What became of its content. */
  received: T
}

const MIME_TYPE = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,100}$/
const refused = (pointer: string, detail: string) =>
  new ApiError('validation_failed', detail, { errors: [{ pointer, code: 'custom', detail }] })

/** Throws `validation_failed`. */
function checkedName(name: string | undefined): string {
  const problem = nameProblem(name ?? '')
  if (problem !== null) throw refused('/file', problem)
  return name!
}

/**
 * Reads a multipart form that holds one file, named `file`, and hands its content to `receive` while it comes: of the
 * file nothing but what is on its way is in memory. Throws `validation_failed` for another form, `unsupported_feature`
 * for `expires_in_seconds`, and what `receive` throws; what was received is then handed to `drop`.
 */
export async function readUpload<T>(
  request: IncomingMessage,
  receive: (content: Readable) => Promise<T>,
  drop: (received: T) => Promise<void>,
): Promise<Upload<T>> {
  let file: Promise<Upload<T>> | null = null
  const form = Promise.withResolvers<void>()
  const fail = (error: unknown) => form.reject(error)
  try {
    const parser = new Busboy({
      headers: request.headers as BusboyHeaders,
      preservePath: true,
      limits: { files: 1, fields: 16, parts: 17, fieldSize: 1024, fieldNameSize: 100, headerPairs: 32 },
    })
    parser.on('file', (field, content, filename, _encoding, mimeType) => {
      // A parser that is given up ends no stream it has begun.
      void form.promise.catch((error: Error) => content.destroy(error))
      content.on('error', fail)
      try {
        if (field !== 'file') throw refused('/', `The file must be the field "file"; ${JSON.stringify(field)} came.`)
        const named = {
          filename: checkedName(filename),
          mimeType: MIME_TYPE.test(mimeType) ? mimeType.toLowerCase() : 'application/octet-stream',
        }
        file = receive(content).then((received) => ({ ...named, received }))
        file.catch(fail)
      } catch (error) {
        fail(error)
      }
    })
    parser.on('field', (name) => {
      if (name === 'expires_in_seconds')
        fail(new ApiError('unsupported_feature', 'expires_in_seconds: files stay until they are deleted.'))
    })
    parser.on('filesLimit', () => fail(refused('/file', 'The form holds several files; send them one by one.')))
    for (const limit of ['fieldsLimit', 'partsLimit'] as const)
      parser.on(limit, () => fail(refused('/', 'The form has more than 16 fields.')))
    parser.on('error', (error) => fail(refused('/', `The form cannot be read: ${String((error as Error).message)}`)))
    parser.on('finish', () => form.resolve())
    request.on('close', () => request.complete || fail(refused('/', 'The form ended before it was whole.')))
    void form.promise.catch(() => {
      request.unpipe(parser)
      request.resume()
    })
    request.pipe(parser)
    await form.promise
    const done = file as Promise<Upload<T>> | null
    if (!done) throw refused('/file', 'The form holds no file named "file".')
    return await done
  } catch (error) {
    const begun = file as Promise<Upload<T>> | null
    // Why it was not received is the reason; that the parser's stream was given up is only what follows from it.
    const left = await begun
    if (left) await drop(left.received)
    if (error instanceof ApiError || begun) throw error
    throw error instanceof Error && /boundary|content.?type/i.test(error.message)
      ? refused('/', `The form cannot be read: ${error.message}`)
      : error
  }
}
