import { ApiError, ErrorBody } from '@troupe/protocol/error'
import { parseId } from '@troupe/protocol/ids'
import { OriginValidationError } from '@troupe/protocol/origin'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { OriginRefusal } from '../sessions/execute.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Store } from '../store/store.ts'
import * as check from './fastapi.ts'
import type { Server } from './server.ts'

export const tags = ['Origin API']
export const Params = z.object({ session_id: z.string().max(256) })
export const errors = {
  400: ErrorBody,
  401: ErrorBody,
  403: ErrorBody,
  404: ErrorBody,
  413: ErrorBody,
  415: ErrorBody,
  422: OriginValidationError,
  429: ErrorBody,
  500: ErrorBody,
  503: ErrorBody,
}

export const notFound = (id: string) => new ApiError('session_not_found', `Session ${id} not found`)

/** The session, or the origin's 404; what a path names was looked at before. */
export async function findSession(store: Store, text: string, workspaceId?: string): Promise<SessionRow> {
  const id = parseId('sesn', text)
  const session = id && (await store.readSession(id))
  if (!session || (workspaceId ?? session.workspaceId) !== session.workspaceId) throw notFound(text)
  return session
}

/** A query parameter, checked as FastAPI would. Throws `Unprocessable`. */
export function query<T>(params: Record<string, unknown>, name: string, checked: check.Check<T>): T | undefined {
  if (params[name] === undefined) return undefined
  const result = checked(params[name], ['query', name])
  if ('value' in result) return result.value
  throw new check.Unprocessable(result.issues)
}

/** 422 in the words of FastAPI. */
export function unprocessable(reply: FastifyReply, detail: check.Issue[]) {
  return reply
    .code(422)
    .type('application/json')
    .serializer(JSON.stringify)
    .send({ detail } as never)
}

type Handler = Server['errorHandler']

/** Answers what goes wrong as the origin does. */
export const originErrors =
  (server: Server) => (error: unknown, request: Parameters<Handler>[1], reply: Parameters<Handler>[2]) => {
    if (error instanceof check.Unprocessable) return unprocessable(reply, error.issues)
    if (error instanceof OriginRefusal) {
      const refusal = new ApiError('validation_failed', error.message)
      return server.errorHandler(refusal as never, request, reply)
    }
    return server.errorHandler(error as never, request, reply)
  }
