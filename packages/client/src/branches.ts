import type { Diff, ForkSession, ImportSession, Rewind, RewindSession } from '@troupe/protocol/branch'
import type { Session } from '@troupe/protocol/session'
import type { Output } from './requests.ts'
import type { RequestOptions, Transport, WriteOptions } from './transport.ts'

export type ForkRequest = Output<typeof ForkSession>
export type RewindRequest = Output<typeof RewindSession>
export type ImportRequest = Output<typeof ImportSession>
export type ExportFormat = 'jsonl' | 'markdown' | 'html' | 'claude'

/** What makes sessions of sessions, sets them back, and takes them out and in. */
export function branchMethods({ json, open }: Transport, at: (...parts: string[]) => string) {
  return {
    /** What a turn changed in the workdir, or the whole session. */
    diff: (id: string, query: { turn_id?: string | undefined } = {}, request: RequestOptions = {}) =>
      json<Diff>('GET', at('sessions', id, 'diff'), { ...request, query }),
    fork: (id: string, body: ForkRequest = {}, request: WriteOptions = {}) =>
      json<Session>('POST', at('sessions', id, 'fork'), { ...request, body }),
    rewind: (id: string, body: RewindRequest, request: WriteOptions = {}) =>
      json<Rewind>('POST', at('sessions', id, 'rewind'), { ...request, body }),
    /** The answer, whose body is still to be read. */
    export: (id: string, query: { format?: ExportFormat } = {}, request: RequestOptions = {}) =>
      open(at('sessions', id, 'export'), { ...request, query }),
    import: (body: ImportRequest, request: WriteOptions = {}) =>
      json<Session>('POST', at('sessions', 'import'), { ...request, body }),
  }
}
