import type { SessionEvent } from '@troupe/protocol/event'
import type { Health, Info, Model, ModelList, Ready } from '@troupe/protocol/info'
import type { Queue } from '@troupe/protocol/queue'
import type { Session } from '@troupe/protocol/session'
import type { CancelTurn, Turn } from '@troupe/protocol/turn'
import type { UsageReport } from '@troupe/protocol/usage-report'
import { accessMethods } from './access.ts'
import { backoff, pause } from './backoff.ts'
import { branchMethods } from './branches.ts'
import type {
  ChangeSession,
  EventFilter,
  Input,
  ListOptions,
  NewSession,
  Output,
  Page,
  PruneRequest,
  SessionFilter,
  UsageFilter,
} from './requests.ts'
import { type StreamFrame, streamFrames, type StreamOptions } from './stream.ts'
import { type ClientOptions, createTransport, type Query, type RequestOptions, type WriteOptions } from './transport.ts'

export type { ClientOptions, RequestOptions, WriteOptions }

/** Largest page the server gives. */
const PAGE = 1000
/** Seconds one request waits: proxies and Node's fetch cut a silent one, so a longer wait is several. */
const WAIT_PER_REQUEST = 50

/** A Troupe server. Methods reject with `TroupeError`, `Unreachable`, or the reason of their signal. */
export type Client = ReturnType<typeof createClient>

/** Makes a client. It holds no connection and needs no closing. */
export function createClient(options: ClientOptions) {
  const transport = createTransport(options)
  const { json, open } = transport
  const tooEarly = options.retryDelay ?? backoff(1_000, 1_000)
  const at = (...parts: string[]) => `/v1/${parts.map(encodeURIComponent).join('/')}`

  /** All items of a list, page after page, fetched as they are asked for. */
  async function* items<T>(path: string, query: Query, request: RequestOptions = {}): AsyncGenerator<T, void, void> {
    for (let page: string | undefined; ;) {
      const { data, next_page } = await json<Page<T>>('GET', path, {
        ...request,
        query: { limit: PAGE, ...query, page },
      })
      yield* data
      if (next_page === null) return
      page = next_page
    }
  }

  /** A session; with `wait`, once it is idle or terminated, or as it is after that many seconds. */
  async function retrieve(id: string, { wait = 0, signal }: { wait?: number } & RequestOptions = {}): Promise<Session> {
    const deadline = Date.now() + wait * 1000
    for (;;) {
      const left = Math.max(0, (deadline - Date.now()) / 1000)
      const timeout = Math.min(left, WAIT_PER_REQUEST)
      const query = wait > 0 ? { wait_for: 'idle', timeout } : {}
      const asked = Date.now()
      const session = await json<Session>('GET', at('sessions', id), { signal, query })
      if (left <= timeout || session.status === 'idle' || session.status === 'terminated') return session
      // A server that is ending answers before its time.
      if (Date.now() - asked < timeout * 500) await pause(tooEarly(0, null), signal)
      signal?.throwIfAborted()
    }
  }

  return {
    sessions: {
      /** Resolves when the session is on disk; with `initial_events` it is running at once. */
      create: (body: NewSession = {}, request: WriteOptions = {}) =>
        json<Session>('POST', at('sessions'), { ...request, body }),
      list: (query: SessionFilter & ListOptions = {}, request: RequestOptions = {}) =>
        json<Page<Session>>('GET', at('sessions'), { ...request, query: { ...query } }),
      /** Every session that matches, newest first. */
      all: (query: SessionFilter & Omit<ListOptions, 'page'> = {}, request?: RequestOptions) =>
        items<Session>(at('sessions'), { ...query }, request),
      retrieve,
      /** Absent fields stay; null clears. */
      update: (id: string, body: ChangeSession, request: WriteOptions = {}) =>
        json<Session>('POST', at('sessions', id), { ...request, body }),
      archive: (id: string, request: WriteOptions = {}) =>
        json<Session>('POST', at('sessions', id, 'archive'), { ...request }),
      delete: (id: string, request: WriteOptions = {}) =>
        json<{ type: 'session_deleted'; id: string }>('DELETE', at('sessions', id), { ...request }),
      ...branchMethods(transport, at),
      /** Deletes old sessions, at most 10,000 a call. */
      prune: (body: PruneRequest, request: WriteOptions = {}) =>
        json<{ matched: number; deleted: number }>('POST', at('sessions', 'prune'), { ...request, body }),
    },
    events: {
      /** Resolves with the events as they were recorded, in the order given, when they are on disk. */
      send: async (sessionId: string, events: Input[], request: WriteOptions = {}) =>
        (
          await json<{ data: SessionEvent[] }>('POST', at('sessions', sessionId, 'events'), {
            ...request,
            body: { events },
          })
        ).data,
      list: (sessionId: string, query: EventFilter & ListOptions = {}, request: RequestOptions = {}) =>
        json<Page<SessionEvent>>('GET', at('sessions', sessionId, 'events'), { ...request, query: { ...query } }),
      /** Every event that matches, each once in its newest form, oldest first. */
      all: (sessionId: string, query: EventFilter & Omit<ListOptions, 'page'> = {}, request?: RequestOptions) =>
        items<SessionEvent>(at('sessions', sessionId, 'events'), { ...query }, request),
      /** The log as it grows; see `StreamOptions`. */
      stream: (sessionId: string, stream: StreamOptions = {}): AsyncGenerator<StreamFrame, void, void> =>
        streamFrames((request) => open(at('sessions', sessionId, 'events', 'stream'), request), stream),
    },
    turns: {
      list: (sessionId: string, query: ListOptions = {}, request: RequestOptions = {}) =>
        json<Page<Turn>>('GET', at('sessions', sessionId, 'turns'), { ...request, query: { ...query } }),
      all: (sessionId: string, query: Omit<ListOptions, 'page'> = {}, request?: RequestOptions) =>
        items<Turn>(at('sessions', sessionId, 'turns'), { ...query }, request),
      retrieve: (sessionId: string, turnId: string, request: RequestOptions = {}) =>
        json<Turn>('GET', at('sessions', sessionId, 'turns', turnId), { ...request }),
      /** Resolves when the turn has ended, or after 15 s with the turn as it is. */
      cancel: (sessionId: string, turnId: string, body: Output<typeof CancelTurn> = {}, request: WriteOptions = {}) =>
        json<Turn>('POST', at('sessions', sessionId, 'turns', turnId, 'cancel'), { ...request, body: body ?? {} }),
    },
    ...accessMethods(transport, at, items),
    /** Who waits and who runs, with the first `limit` in line. */
    queue: (query: { limit?: number } = {}, request: RequestOptions = {}) =>
      json<Queue>('GET', '/v1/queue', { ...request, query: { ...query } }),
    /** What was used, by group; a page of groups, and the totals of all. */
    usage: (query: UsageFilter & ListOptions = {}, request: RequestOptions = {}) =>
      json<UsageReport>('GET', '/v1/usage', { ...request, query: { limit: PAGE, ...query } }),
    info: (request: RequestOptions = {}) => json<Info>('GET', '/v1/info', { ...request }),
    health: (request: RequestOptions = {}) => json<Output<typeof Health>>('GET', '/health', { ...request }),
    /** Whether the server can take work; a server that cannot says why. */
    ready: (request: RequestOptions = {}) =>
      json<Output<typeof Ready>>('GET', '/ready', { ...request, expected: [503] }),
    models: (request: RequestOptions = {}) => json<Output<typeof ModelList>>('GET', '/v1/models', { ...request }),
    model: (id: string, request: RequestOptions = {}) =>
      json<Output<typeof Model>>('GET', `/v1/models/${encodeURIComponent(id)}`, { ...request }),
  }
}
