import type { ResourceParam } from '@troupe/protocol/resource'
import type { Caller } from '../sessions/caller.ts'
import type { SessionContext } from '../sessions/context.ts'
import { placeOf, repositoriesOf } from '../sessions/session-repositories.ts'
import { assertApart, checkResources } from '../sessions/session-resources.ts'

/**
 * Refuses what no session of the caller could be given now. Each run looks once more: files may be gone by then. Throws
 * `scope_missing`, `file_not_found`, `repository_refused`, `validation_failed`, `unsupported_feature`, `resource_limit`,
 * `mount_path_taken`.
 */
export async function assertCanGive(
  context: SessionContext,
  caller: Caller,
  params: readonly ResourceParam[],
): Promise<void> {
  const files = await checkResources(context, caller, params, '/resources/*')
  const repositories = repositoriesOf(context, caller, params, '/resources/*')('', 0).map(placeOf)
  assertApart(repositories)
  files('', 0, repositories)
}

/** What replaces the resources that are there: sent back as they are shown, repositories keep their tokens. */
export const keepTokens = (given: readonly ResourceParam[], before: readonly ResourceParam[]): ResourceParam[] =>
  given.map((param) => {
    if (param.type !== 'github_repository' || param.authorization_token !== undefined) return param
    const known = before.find((each) => each.type === 'github_repository' && each.url === param.url)
    return known?.type === 'github_repository' && known.authorization_token !== undefined
      ? { ...param, authorization_token: known.authorization_token }
      : param
  })

/** As it was given, without what a host is asked with. */
export function shownResource(param: ResourceParam): ResourceParam {
  if (param.type !== 'github_repository') return param
  const { authorization_token: _, ...shown } = param
  return shown
}
