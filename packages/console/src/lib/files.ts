import { queryOptions } from '@tanstack/react-query'
import { errorOf, Unreachable } from '@troupe/client/errors'
import type { Page } from '@troupe/client/requests'
import type { FileMetadata } from '@troupe/protocol/file'
import { json } from './api.ts'

export const FILES_PATH = '/v1/files'
export const filePath = (id: string, part?: 'content') =>
  `${FILES_PATH}/${encodeURIComponent(id)}${part ? `/${part}` : ''}`

/** Bytes of one file, at most, as the server has it: what is larger is not even begun. */
export const MOST_BYTES = 500 * 1024 * 1024
const KEY = ['files'] as const
/** Everything that is shown of files. */
export const filesKey = KEY

/** The newest `limit` files, at most 1,000. */
export const filesQuery = (limit: number) =>
  queryOptions({
    queryKey: [...KEY, limit],
    queryFn: ({ signal }) => json<Page<FileMetadata>>('GET', FILES_PATH, { query: { limit }, signal }),
    refetchInterval: 15_000,
    placeholderData: (previous) => previous,
  })
/** What the agent of a session left for its reader, newest first. */
export const sessionFilesQuery = (sessionId: string) =>
  queryOptions({
    queryKey: [...KEY, 'session', sessionId],
    queryFn: ({ signal }) =>
      json<Page<FileMetadata>>('GET', FILES_PATH, { query: { scope_id: sessionId, limit: 100 }, signal }),
    retry: false,
  })
export const deleteFile = (id: string) => json<unknown>('DELETE', filePath(id))

/**
 * Sends a file and tells how much of it is on its way, from 0 to 1. By XMLHttpRequest, since `fetch` tells nothing of what
 * it sends. Rejects with what the server says, with `Unreachable`, or with the signal's reason.
 */
export function uploadFile(file: File, progress: (share: number) => void, signal: AbortSignal): Promise<FileMetadata> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', FILES_PATH)
    // Once, even where its answer is lost and the browser sends it again.
    request.setRequestHeader('idempotency-key', `troupe-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`)
    request.upload.addEventListener('progress', ({ loaded, total }) => progress(total > 0 ? loaded / total : 0))
    request.addEventListener('error', () => reject(new Unreachable(location.origin, new Error('The upload was cut.'))))
    request.addEventListener('abort', () => reject(signal.reason as Error))
    request.addEventListener('load', () => {
      if (request.status === 200) return resolve(JSON.parse(request.responseText) as FileMetadata)
      const type = request.getResponseHeader('content-type') ?? ''
      void errorOf(
        new Response(request.responseText, { status: request.status, headers: { 'content-type': type } }),
      ).then(reject, reject)
    })
    signal.addEventListener('abort', () => request.abort())
    const form = new FormData()
    form.append('file', file)
    request.send(form)
  })
}
