import { z } from 'zod'
import { EVENT_TYPES } from './event.ts'
import { oneOrMany, page, PageQuery } from './session.ts'

/** Events of sessions that webhooks are told; the outbox holds these only. Everything else is read from the log. */
const TOLD = /^(session\.(created|forked|rewound|updated|deleted|error|status_|thread_)|turn\.)/
export const isWebhookType = (type: string): boolean => TOLD.test(type)

/** Told beside the events of logs: what leaves no log behind, and what is not about a session. */
const OWN_TYPES = ['session.deleted', 'webhook_endpoint.disabled'] as const

/** Sent by `…/test` only; no endpoint has to choose it. */
export const TEST_TYPE = 'webhook.test'

/** Every type that an endpoint can choose, by the name it has in streams. */
export const WEBHOOK_TYPES: readonly string[] = [...Object.keys(EVENT_TYPES).filter(isWebhookType), ...OWN_TYPES]

/** What the hosted API's webhooks call an event whose stream name is another. */
export const HOSTED_NAMES: Readonly<Record<string, string>> = {
  'session.status_running': 'session.status_run_started',
  'session.status_idle': 'session.status_idled',
  'session.thread_status_idle': 'session.thread_idled',
  'session.thread_status_terminated': 'session.thread_terminated',
}

export type WebhookNames = 'stream' | 'hosted'

/** The name under which an endpoint is told of an event. */
export const webhookName = (type: string, names: WebhookNames): string =>
  names === 'hosted' ? (HOSTED_NAMES[type] ?? type) : type

/** Whether a list of names and globs (`session.*`) chooses an event, by either of its names. */
export function chooses(types: readonly string[], type: string): boolean {
  const hosted = HOSTED_NAMES[type]
  return types.some((glob) => matches(glob, type) || (hosted !== undefined && matches(glob, hosted)))
}

/** `*` stands for any run of characters. Linear: the parts between the stars are looked for one after the other. */
function matches(glob: string, text: string): boolean {
  const [first = '', ...rest] = glob.split('*')
  const last = rest.pop()
  if (last === undefined) return glob === text
  if (!text.startsWith(first)) return false
  let at = first.length
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return text.length - last.length >= at && text.endsWith(last)
}

/** Endpoints that a server has, at most. */
export const MAX_ENDPOINTS = 32
export const MAX_WEBHOOK_URL = 2048

const Types = z
  .array(
    z
      .string()
      .min(1)
      .max(64)
      .regex(/^[a-z0-9_.*]+$/, { message: 'a name or a glob such as session.*' })
      .refine((glob) => WEBHOOK_TYPES.some((type) => chooses([glob], type)), {
        message: `chooses nothing; there are ${WEBHOOK_TYPES.join(', ')}`,
      }),
  )
  .min(1)
  .max(64)
  .describe('Names and globs (`session.*`), by stream name or hosted name')

const Names = z
  .enum(['stream', 'hosted'])
  .describe("`hosted`: events bear the names of the hosted API's webhooks, such as `session.status_idled`")

const Include = z
  .array(z.enum(['session']))
  .max(1)
  .describe('`session`: the payload carries the session as it is when it is sent')

const Url = z.string().min(1).max(MAX_WEBHOOK_URL).describe('An https address that is not private')

export const CreateWebhookEndpoint = z.object({
  url: Url,
  description: z.string().max(512).nullish(),
  types: Types.optional().describe('Default: all, `["*"]`'),
  names: Names.optional().describe('Default: `stream`'),
  include: Include.optional(),
})
export type CreateWebhookEndpoint = z.infer<typeof CreateWebhookEndpoint>

export const UpdateWebhookEndpoint = z.object({
  url: Url.optional(),
  description: z.string().max(512).nullish().describe('Absent: keep; null: clear'),
  types: Types.optional(),
  names: Names.optional(),
  include: Include.optional(),
  status: z
    .enum(['enabled', 'disabled'])
    .optional()
    .describe('`enabled` also takes an endpoint back that was disabled by itself; what waited is sent then'),
})
export type UpdateWebhookEndpoint = z.infer<typeof UpdateWebhookEndpoint>

export const WebhookEndpoint = z
  .object({
    type: z.literal('webhook_endpoint'),
    id: z.string(),
    url: z.string(),
    description: z.string().nullable(),
    types: z.array(z.string()),
    names: Names,
    include: z.array(z.string()),
    status: z.enum(['enabled', 'disabled']),
    disabled_reason: z
      .string()
      .nullable()
      .describe('`requested`, or why by itself: `gone`, `redirected`, `address_refused`, `failing`'),
    disabled_at: z.string().nullable(),
    secret: z.string().optional().describe('`whsec_…`; only in the answers that make one'),
    previous_secret_valid_until: z.string().nullable().describe('Until then both secrets sign'),
    last_delivered_at: z.string().nullable(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'WebhookEndpoint' })
export type WebhookEndpoint = z.infer<typeof WebhookEndpoint>

export const DeletedWebhookEndpoint = z.object({ type: z.literal('webhook_endpoint_deleted'), id: z.string() })

export const WebhookEndpointList = page(WebhookEndpoint)

export const RotateSecret = z
  .object({
    overlap_seconds: z
      .number()
      .int()
      .min(0)
      .max(7 * 86_400)
      .optional()
      .describe('How long the old secret signs too. Default: one day'),
  })
  .nullish()

export const WebhookAttempt = z
  .object({
    at: z.string(),
    duration_ms: z.number().int(),
    http_status: z.number().int().nullable().describe('null: no answer came'),
    error: z.string().nullable(),
  })
  .meta({ id: 'WebhookAttempt' })
export type WebhookAttempt = z.infer<typeof WebhookAttempt>

export const DeliveryStatus = z.enum(['pending', 'delivered', 'failed'])
export type DeliveryStatus = z.infer<typeof DeliveryStatus>

export const WebhookDelivery = z
  .object({
    type: z.literal('webhook_delivery'),
    id: z.string().describe('The `webhook-id` of every attempt'),
    webhook_endpoint_id: z.string(),
    event_id: z.string(),
    event_type: z.string().describe('The stream name'),
    session_id: z.string().nullable(),
    status: DeliveryStatus,
    attempt_count: z.number().int().describe('Attempts since it was last queued'),
    next_attempt_at: z.string().nullable(),
    attempts: z.array(WebhookAttempt).describe('The newest 20, newest last'),
    response_body: z.string().nullable().describe('How the newest answer begins, at most 4 kB'),
    created_at: z.string(),
    delivered_at: z.string().nullable(),
  })
  .meta({ id: 'WebhookDelivery' })
export type WebhookDelivery = z.infer<typeof WebhookDelivery>

export const ListWebhookDeliveries = PageQuery.extend({
  'statuses[]': oneOrMany(DeliveryStatus),
  'types[]': oneOrMany(z.string().max(64)),
  session_id: z.string().max(256).optional(),
  'created_at[gt]': z.iso.datetime({ offset: true }).optional(),
  'created_at[gte]': z.iso.datetime({ offset: true }).optional(),
  'created_at[lt]': z.iso.datetime({ offset: true }).optional(),
  'created_at[lte]': z.iso.datetime({ offset: true }).optional(),
})

export const WebhookDeliveryList = page(WebhookDelivery)

export const ReplayWebhooks = z.object({
  from: z.iso.datetime({ offset: true }).describe('Events from this time on …'),
  to: z.iso.datetime({ offset: true }).optional().describe('… and before this one; default: now'),
})
export type ReplayWebhooks = z.infer<typeof ReplayWebhooks>

export const Replayed = z.object({
  type: z.literal('webhook_replay'),
  matched: z.number().int().describe('Events in the range that the endpoint chooses'),
  queued: z.number().int().describe('Of these, what is sent now; the rest is on its way already'),
  next_from: z.string().nullable().describe('Set when the range holds more: ask again from here'),
})

/** What is posted. Thin as the hosted API's: who wants more asks for it, or has `include`. */
export const WebhookPayload = z
  .looseObject({
    id: z.string().describe('The event; the same for every endpoint'),
    type: z.literal('event'),
    created_at: z.string(),
    data: z.looseObject({
      type: z.string(),
      id: z.string().describe('The session; of `turn.*` the turn; of `webhook*` the endpoint'),
      organization_id: z.string(),
      workspace_id: z.string(),
    }),
  })
  .meta({ id: 'WebhookPayload' })
export type WebhookPayload = z.infer<typeof WebhookPayload>
