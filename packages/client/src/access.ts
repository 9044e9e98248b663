import type { ApiKey, CreateApiKey, CreateWorkspace, RotateApiKey, Workspace } from '@troupe/protocol/access'
import type { ListOptions, Output } from './requests.ts'
import type { Query, RequestOptions, Transport, WriteOptions } from './transport.ts'

type Items = <T>(path: string, query: Query, request?: RequestOptions) => AsyncGenerator<T, void, void>

export interface KeyFilter {
  include_revoked?: boolean | undefined
  /** Only an operator may name another than its own. */
  workspace_id?: string | undefined
}

/** Keys and workspaces; needs the scope `admin` or `operator`. */
export function accessMethods({ json }: Transport, at: (...parts: string[]) => string, items: Items) {
  return {
    keys: {
      /** The answer holds the secret. Null in it: an earlier try made the key, and its answer was lost. */
      create: (body: CreateApiKey, request: WriteOptions = {}) =>
        json<ApiKey>('POST', at('api_keys'), { ...request, body }),
      /** Every key of the workspace, newest first. */
      all: (query: KeyFilter & Omit<ListOptions, 'page'> = {}, request?: RequestOptions) =>
        items<ApiKey>(at('api_keys'), { ...query }, request),
      /** As `create`. The secret before this one stays good for `grace_seconds`, by default a day. */
      rotate: (id: string, body: NonNullable<Output<typeof RotateApiKey>> = {}, request: WriteOptions = {}) =>
        json<ApiKey>('POST', at('api_keys', id, 'rotate'), { ...request, body }),
      /** At once, and its streams end. */
      revoke: (id: string, request: WriteOptions = {}) => json<ApiKey>('DELETE', at('api_keys', id), { ...request }),
    },
    workspaces: {
      create: (body: Output<typeof CreateWorkspace>, request: WriteOptions = {}) =>
        json<Output<typeof Workspace>>('POST', at('workspaces'), { ...request, body }),
      all: (
        query: { include_archived?: boolean | undefined } & Omit<ListOptions, 'page'> = {},
        request?: RequestOptions,
      ) => items<Output<typeof Workspace>>(at('workspaces'), { ...query }, request),
    },
  }
}
