import { createClient } from '@troupe/client/client'
import { UsageError } from './exit.ts'
import { DEFAULT_URL } from './flags.ts'

/** A client for the server that the options or the environment name. */
export function clientOf(args: { url?: string | undefined; 'api-key'?: string | undefined }) {
  const url = args.url ?? (process.env.TROUPE_URL || DEFAULT_URL)
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new UsageError(`${JSON.stringify(url)} is not the address of a server; it looks like ${DEFAULT_URL}.`)
  return createClient({ baseUrl: url, apiKey: args['api-key'] ?? process.env.TROUPE_API_KEY })
}
