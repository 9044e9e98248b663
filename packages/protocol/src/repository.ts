import { z } from 'zod'

/** Repositories of one session, at most. */
export const MAX_REPOSITORIES = 20

export const BranchName = z
  .string()
  .min(1)
  .max(255)
  .refine(
    (name) => !/^[-/.]|\.\.|\/\/|@\{|[\s\\~^:?*[\p{Cc}]|[/.]$|\.lock$/u.test(name) && name !== '@' && name !== 'HEAD',
    { message: 'must be the name of a branch' },
  )

const Checkout = z.discriminatedUnion('type', [
  z.object({ type: z.literal('branch'), name: BranchName }),
  z.object({ type: z.literal('commit'), sha: z.string().regex(/^[0-9a-f]{40}$/, 'must be a full commit id') }),
])
export type Checkout = z.infer<typeof Checkout>

/** Sent with a request to the repository's host; never shown, and never given to the agent. */
export const AuthorizationToken = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[\x21-\x7e]+$/, 'must be printable and without spaces')

/** A git repository that is cloned into the workdir. */
export const RepositoryResourceParam = z.object({
  type: z.literal('github_repository'),
  url: z.string().min(1).max(2048).describe('`https://github.com/owner/name`; what else, the operator says'),
  authorization_token: AuthorizationToken.optional(),
  checkout: Checkout.nullish().describe("Default: the repository's default branch"),
  mount_path: z.string().min(1).max(1024).nullish().describe('Default: `/workspace/<name of the repository>`'),
})
export type RepositoryResourceParam = z.infer<typeof RepositoryResourceParam>

export const RepositoryResource = z.object({
  id: z.string().describe('`sesrsc_…`'),
  type: z.literal('github_repository'),
  url: z.string(),
  checkout: Checkout.nullable(),
  mount_path: z.string().describe('As it was asked for'),
  path: z.string().describe('Where it lies, relative to the workdir'),
  created_at: z.string(),
  updated_at: z.string(),
})
