import type { ContentBlock, UserInterrupt } from '@troupe/protocol/event'
import type { CreateSession, Prune, SessionStatus, UpdateSession } from '@troupe/protocol/session'

/** What a schema of the protocol gives; spelled here so that the client needs no zod, not even its types. */
export type Output<S extends { _zod: { output: unknown } }> = S['_zod']['output']

/** Input for the agent; a plain string is one text block. */
export interface MessageInput {
  type: 'user.message'
  content: string | ContentBlock[]
  /** Natural key: the same one twice in a session is one input. */
  client_id?: string | undefined
}

/** A request to stop the running turn. */
export type InterruptInput = Output<typeof UserInterrupt>

/** The types of input this version knows, and room for those of a later server. */
export type Input =
  | MessageInput
  | InterruptInput
  | { type: `user.${string}` | 'system.message'; [field: string]: unknown }

/** The body of a create; a stream of the new session is had by `events.stream`. */
export type NewSession = Omit<CreateSession, 'initial_events' | 'stream'> & { initial_events?: MessageInput[] }

export type ChangeSession = Output<typeof UpdateSession>
export type PruneRequest = Output<typeof Prune>

export interface Page<T> {
  data: T[]
  next_page: string | null
  prev_page: string | null
  /** Only with `count: true`. */
  total_count?: number
}

export interface ListOptions {
  /** Items per page, 1 to 1000. */
  limit?: number | undefined
  page?: string | undefined
  order?: 'asc' | 'desc' | undefined
}

type TimeRange = { [bound in 'gt' | 'gte' | 'lt' | 'lte']?: string }

export interface SessionFilter {
  statuses?: SessionStatus[] | undefined
  created_at?: TimeRange | undefined
  include_archived?: boolean | undefined
  external_id?: string | undefined
  agent_id?: string | undefined
  stop_reason?: string[] | undefined
  /** Words of title, last prompt and result; each at least three characters long. */
  q?: string | undefined
  /** Pairs that a session has, all of them. */
  metadata?: Record<string, string> | undefined
  count?: boolean | undefined
}

export interface UsageFilter {
  /** `day`, `model`, `agent`, `api_key`, `session`, `turn` or `metadata.KEY`; at most four. */
  group_by?: string[] | undefined
  created_at?: TimeRange | undefined
  agent_id?: string | undefined
  session_id?: string | undefined
}

export interface EventFilter {
  types?: string[] | undefined
  after_seq?: number | undefined
  before_seq?: number | undefined
  turn_id?: string | undefined
  created_at?: TimeRange | undefined
}
