import { ApiError } from '@troupe/protocol/error'

/** Families of the hosted API that this server does not have yet, by the path they live under. */
const FAMILIES: readonly [RegExp, string][] = [
  [/^\/v1\/vaults(\/|$)/, 'Vaults'],
  [/^\/v1\/memory_stores(\/|$)/, 'Memory stores'],
  [/^\/v1\/user_profiles(\/|$)/, 'User profiles'],
  [/^\/v1\/dreams(\/|$)/, 'Dreams'],
  [/^\/v1\/tunnels(\/|$)/, 'Tunnels'],
  [/^\/v1\/environments\/[^/]+\/work(\/|$)/, 'Work queues of self-hosted environments'],
]

/**
 * What is said of a path that a client of the hosted API may ask for and nothing answers here: that the feature is not
 * there, which is another thing than a wrong address. Null for any other path.
 */
export function laterFeature(path: string): ApiError | null {
  const family = FAMILIES.find(([pattern]) => pattern.test(path))
  if (!family) return null
  return new ApiError('unsupported_feature', `${family[1]} are not supported yet; GET /v1/info lists what is.`)
}
