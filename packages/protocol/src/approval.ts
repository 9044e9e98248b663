import { z } from 'zod'

/** What waits for a person: a tool call that policy says to ask about, the agent's question, a tool that a client runs. */
export const ApprovalKind = z.enum(['tool_confirmation', 'question', 'custom_tool_result'])
export type ApprovalKind = z.infer<typeof ApprovalKind>

export const ApprovalStatus = z
  .enum(['pending', 'allowed', 'denied', 'expired', 'cancelled'])
  .describe(
    '`expired`: its deadline passed; `cancelled`: its turn ended, or the call was refused, before an answer came or was used',
  )
export type ApprovalStatus = z.infer<typeof ApprovalStatus>

/** Characters of JSON that an answer may carry as input, answers or content. */
export const MAX_ANSWER_CHARS = 1024 * 1024

const fits = (value: unknown) => value === undefined || JSON.stringify(value).length <= MAX_ANSWER_CHARS
const Small = <T extends z.ZodType>(schema: T) =>
  schema.refine(fits, { message: 'at most 1,048,576 characters of JSON' })

const verdictFields = {
  result: z.enum(['allow', 'deny']),
  deny_message: z.string().max(32_768).nullish().describe('Told to the model'),
  updated_input: Small(z.record(z.string(), z.unknown()))
    .nullish()
    .describe("Runs the call with this input instead of the model's"),
  remember: z
    .enum(['session', 'always'])
    .nullish()
    .describe('Allows calls of the same kind without asking: in this session, or in all sessions of its agent'),
  interrupt: z.boolean().nullish().describe('With `deny`: ends the turn as well'),
  actor: z.string().max(255).nullish().describe('Who answered, for the record'),
}

/** Answers by the text of their question: a label, several, or free text. */
export const Answers = Small(
  z.record(z.string().max(8192), z.union([z.string().max(32_768), z.array(z.string().max(8192))])),
)

/** A person's verdict on a call, as an event. `tool_use_id` is the id of the `agent.tool_use` event. */
export const UserToolConfirmation = z.object({
  type: z.literal('user.tool_confirmation'),
  tool_use_id: z.string().min(1).max(128),
  session_thread_id: z.string().nullish(),
  ...verdictFields,
})

/** What a tool of the client gave back, or the answer to a question. */
export const UserCustomToolResult = z.object({
  type: z.literal('user.custom_tool_result'),
  custom_tool_use_id: z.string().min(1).max(128),
  session_thread_id: z.string().nullish(),
  content: Small(z.union([z.string(), z.array(z.looseObject({ type: z.string().max(64) })).max(256)])).optional(),
  is_error: z.boolean().nullish(),
  actor: z.string().max(255).nullish(),
})

/** `POST /v1/approvals/{id}`: the same as the event, for every kind. */
export const DecideApproval = z.object({
  ...verdictFields,
  answers: Answers.nullish().describe('To a question: by its text, the label chosen (or several), or free text'),
  content: Small(z.union([z.string(), z.array(z.looseObject({ type: z.string().max(64) })).max(256)]))
    .nullish()
    .describe("A client's tool: what it gave back"),
  is_error: z.boolean().nullish(),
})

/** What was decided; kept with the approval. */
export const Decision = z.object({
  result: z.enum(['allow', 'deny']),
  deny_message: z.string().nullable(),
  updated_input: z.record(z.string(), z.unknown()).nullable(),
  remember: z.enum(['session', 'always']).nullable(),
  interrupt: z.boolean(),
  answers: z.record(z.string(), z.union([z.string(), z.array(z.string())])).nullable(),
  content: z.array(z.looseObject({ type: z.string() })).nullable(),
  is_error: z.boolean(),
})
export type Decision = z.infer<typeof Decision>

export const Approval = z
  .object({
    type: z.literal('approval'),
    id: z.string().describe('The id of the event that tells the call'),
    kind: ApprovalKind,
    session_id: z.string(),
    session_title: z.string().nullable(),
    turn_id: z.string(),
    session_thread_id: z.string().nullable(),
    tool_name: z.string(),
    input: z.unknown(),
    reason: z.string().describe('Why it was asked'),
    remember_rule: z.string().nullable().describe('What `remember` would allow; null when it cannot be remembered'),
    held: z.boolean().describe('The agent process waits for the answer; otherwise the call is parked'),
    status: ApprovalStatus,
    created_at: z.string(),
    expires_at: z.string().nullable(),
    decided_at: z.string().nullable(),
    actor: z.string().nullable(),
    decision: Decision.nullable(),
  })
  .meta({ id: 'Approval' })
export type Approval = z.infer<typeof Approval>

/** What a session waits for. */
export const RequiredAction = z
  .object({
    type: ApprovalKind,
    event_id: z.string(),
    session_thread_id: z.string().nullable(),
    tool_name: z.string(),
    input: z.unknown(),
    expires_at: z.string().nullable(),
  })
  .meta({ id: 'RequiredAction' })
export type RequiredAction = z.infer<typeof RequiredAction>

/** How long a call may wait for its answer, and what then. */
export const ApprovalPolicy = z.object({
  hold_seconds: z
    .number()
    .int()
    .min(0)
    .max(3600)
    .optional()
    .describe('Keeps the agent process for a quick answer; then the call is parked. Default 0'),
  timeout_seconds: z
    .number()
    .int()
    .min(0)
    .max(31_536_000)
    .nullish()
    .describe('Deadline; 0 asks nobody and refuses at once; absent or null: none'),
  on_timeout: z
    .enum(['deny', 'stay', 'interrupt'])
    .optional()
    .describe('At the deadline: refuse the call, go on waiting, or end the turn. Default `deny`'),
})
export type ApprovalPolicy = z.infer<typeof ApprovalPolicy>

/** A rule that a person's answer left behind. */
export const Grant = z
  .object({
    type: z.literal('grant'),
    id: z.string(),
    scope: z.enum(['session', 'agent']),
    session_id: z.string().nullable(),
    agent_id: z.string(),
    rule: z.string(),
    actor: z.string().nullable(),
    created_at: z.string(),
  })
  .meta({ id: 'Grant' })
export type Grant = z.infer<typeof Grant>

export const ListApprovals = z.object({
  status: z
    .union([ApprovalStatus, z.literal('all')])
    .optional()
    .describe('Default `pending`'),
  session_id: z.string().max(128).optional(),
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  page: z.string().max(2048).optional(),
  order: z.enum(['asc', 'desc']).optional(),
})
