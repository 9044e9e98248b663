import { isIP } from 'node:net'
import { MAX_WEBHOOK_URL } from '@troupe/protocol/webhook'
import { isPublicAddress } from '../lib/public-address.ts'

/** An address that webhooks are not sent to; the message says which and why. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

/**
 * Reads an endpoint's URL. `new URL` writes every spelling of an IPv4 address (decimal, octal, short) as four numbers, so
 * what is checked here is what would be connected to; names are checked when they are resolved. Throws `AddressRefused`.
 */
export function targetOf(text: string, allowPrivate: boolean): URL {
  const url = URL.parse(text)
  const shown = JSON.stringify(text.slice(0, 200))
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new AddressRefused(`${shown} is not an http or https URL.`)
  if (url.protocol === 'http:' && !allowPrivate)
    throw new AddressRefused(`${shown} is not https. The operator can allow http with TROUPE_WEBHOOK_ALLOW_PRIVATE.`)
  if (url.username !== '' || url.password !== '')
    throw new AddressRefused(`${shown} holds credentials; put what tells you the sender into the path instead.`)
  if (url.href.length > MAX_WEBHOOK_URL)
    throw new AddressRefused(`${shown} has ${url.href.length} characters when written out; ${MAX_WEBHOOK_URL} at most.`)
  const literal = literalOf(url)
  if (!allowPrivate && (literal ? !isPublicAddress(literal) : isLocalName(url.hostname)))
    throw new AddressRefused(privateAddress(url.hostname))
  return url
}

/** The IP address that a URL names directly; null when it has a name. */
export function literalOf(url: URL): string | null {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return isIP(host) ? host : null
}

export const privateAddress = (shown: string): string =>
  `${shown} is, or leads to, an address that is not of the public internet. The operator can allow it with TROUPE_WEBHOOK_ALLOW_PRIVATE.`

const isLocalName = (host: string) => /(^|\.)localhost\.?$/.test(host)
