import { BlockList, isIPv4 } from 'node:net'

/** IPv4 that is not on the public internet (IANA's special-purpose registry), and a metadata service that is. */
const NOT_PUBLIC_4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/** Parts of 2000::/3 that are not: protocol assignments with Teredo, documentation, 6to4. */
const NOT_PUBLIC_6: readonly [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const notPublic4 = new BlockList()
for (const [net, prefix] of NOT_PUBLIC_4) notPublic4.addSubnet(net, prefix, 'ipv4')
const notPublic6 = new BlockList()
for (const [net, prefix] of NOT_PUBLIC_6) notPublic6.addSubnet(net, prefix, 'ipv6')
const global6 = new BlockList()
global6.addSubnet('2000::', 3, 'ipv6')

/**
 * Whether an address, in any spelling that Node's resolver gives, is one of the public internet. IPv6 is public only
 * within 2000::/3: so loopback, link-local, ULA, and IPv4 in disguise (mapped, compatible, NAT64, 6to4) are not.
 */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !notPublic4.check(address, 'ipv4')
  // A zone names an interface of this machine; such an address is link-local.
  if (address.includes('%') || address.includes('.')) return false
  return global6.check(address, 'ipv6') && !notPublic6.check(address, 'ipv6')
}
