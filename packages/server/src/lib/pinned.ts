import type { LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'

/** A lookup that gives what was resolved and checked, so that a name which resolves otherwise a moment later changes nothing. */
export function pinnedTo(addresses: readonly [LookupAddress, ...LookupAddress[]]): LookupFunction {
  const [first] = addresses
  return (_name, options, done) => (options.all ? done(null, [...addresses]) : done(null, first.address, first.family))
}
