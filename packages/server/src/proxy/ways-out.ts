import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import { isHostIn } from '../environments/hosts.ts'
import { isPublicAddress } from '../lib/public-address.ts'
import type { Resolve } from '../lib/system-resolver.ts'
import { isModelRequest } from './model-requests.ts'
import { NoWay } from './no-way.ts'

/** What a container with a network of its own reaches beyond itself. */
export interface WaysOut {
  /** Names, with `*.`, and addresses. Those that are not of the public internet are reached where they stand here themselves. */
  hosts: readonly string[]
  /** Hosts of MCP servers of its agent: addresses of the public internet alone. */
  servers: readonly string[]
  /** The model's endpoint where the agent asks for it by https, wherever it lies. */
  endpoint: URL | null
  /** The model's endpoint where the agent has the gateway stand for it. */
  model: URL | null
  /** The tools of the session's client, for which the gateway stands too. */
  tools: URL | null
}

const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '')

/**
 * The addresses that stand for the host of a URL now; what is connected to is one of them, and no other. `new URL` writes
 * every spelling of an IPv4 address as four numbers, so the list is asked for what would be connected to. Throws `NoWay`.
 */
export async function addressesOf(
  url: URL,
  { hosts, servers, endpoint }: WaysOut,
  resolve: Resolve,
): Promise<[LookupAddress, ...LookupAddress[]]> {
  const host = bare(url.hostname)
  const isEndpoint = endpoint !== null && url.hostname === endpoint.hostname && url.port === (endpoint.port || '443')
  const isListed = isIP(host) ? [...hosts, ...servers].includes(host) : isHostIn([...hosts, ...servers], host)
  if (!isEndpoint && !isListed) throw new NoWay(403, `The environment of this session lets nothing connect to ${host}.`)
  const found = isIP(host) ? [{ address: host, family: isIP(host) }] : await resolve(host).catch(() => [])
  if (found.length === 0) throw new NoWay(502, `${host} cannot be resolved.`)
  const [first, ...more] = found.filter(
    ({ address }) => isEndpoint || isPublicAddress(address) || hosts.includes(address),
  )
  // Which one is not said: what only this machine's name server knows is not for containers.
  if (!first)
    throw new NoWay(
      403,
      `${host} is, or leads to, an address that is not of the public internet; the environment of this session lets nothing connect there unless allowed_hosts has the address itself.`,
    )
  return [first, ...more]
}

/** Where a request goes that is made to the gateway itself: its own paths are those of the endpoints it stands for. Throws `NoWay`. */
export function routeOf({ model, tools }: WaysOut, method: string, target: string): { to: URL; path: string } {
  const [path = ''] = target.split('?')
  if (tools && method === 'POST' && path === tools.pathname) return { to: tools, path: target }
  const base = model?.pathname.replace(/\/$/, '') ?? ''
  const below = path.startsWith(base) ? path.slice(base.length) : null
  // The agent may knock before its first request, to have a connection at hand.
  const knocks = method === 'HEAD' && (below === '' || below === '/')
  if (model && below !== null && (knocks || isModelRequest(method, below))) return { to: model, path: target }
  throw new NoWay(404, `There is no way from this container to ${method} ${path.slice(0, 200)}.`)
}
