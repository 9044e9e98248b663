import { Anthropic as Anthropic088 } from 'anthropic-sdk-0.88'
import { Anthropic as Anthropic0137 } from 'anthropic-sdk-0.137'
import { accumulateManagedAgentsEvent as accumulate0137 } from 'anthropic-sdk-0.137/lib/sessions/accumulate'
import { Anthropic } from 'anthropic-sdk-1.12'
import { accumulateManagedAgentsEvent } from 'anthropic-sdk-1.12/lib/sessions/accumulate'
import { fileURLToPath } from 'node:url'

/** An agent that shows what it writes while it writes it. */
export const STREAMING_AGENT = fileURLToPath(new URL('fake-streaming-agent.mjs', import.meta.url))

export interface Sent {
  method: string
  path: string
}

/** What differs between the generations of the official SDK that speak the whole of `/v1`. */
export interface Generation {
  version: string
  /** The newest one's types serve for both: what is used here has the same form in each. */
  Client: typeof Anthropic
  accumulate: typeof accumulateManagedAgentsEvent
}

export const GENERATIONS: Generation[] = [
  { version: '1.12.0', Client: Anthropic, accumulate: accumulateManagedAgentsEvent },
  {
    version: '0.137.0',
    Client: Anthropic0137 as unknown as typeof Anthropic,
    accumulate: accumulate0137 as unknown as typeof accumulateManagedAgentsEvent,
  },
]

export { Anthropic088 }

/** Options of a client of this server, and the requests it really makes, retries too. */
export function counted(baseURL: string) {
  const sent: Sent[] = []
  const options = {
    baseURL,
    apiKey: 'any key',
    fetch: (input: string | URL | Request, init?: RequestInit) => {
      const url = new URL(input instanceof Request ? input.url : input)
      sent.push({ method: init?.method?.toUpperCase() ?? 'GET', path: url.pathname })
      return fetch(input, init)
    },
  }
  return { options, sent }
}

/** A message as every generation writes it. */
export const say = (text: string) => ({
  type: 'user.message' as const,
  content: [{ type: 'text' as const, text }],
})

/** What an iterable gives up to and with the first that matches; then it is left. */
export async function upTo<T>(items: AsyncIterable<T>, last: (item: T) => boolean): Promise<T[]> {
  const taken: T[] = []
  for await (const item of items) {
    taken.push(item)
    if (last(item)) return taken
  }
  throw new Error(`ended before the last one came: ${JSON.stringify(taken)}`)
}

/** Everything an iterable gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const taken: T[] = []
  for await (const item of items) taken.push(item)
  return taken
}
