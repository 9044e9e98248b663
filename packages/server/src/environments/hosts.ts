import type { EnvironmentConfig, NetworkingConfig } from '@troupe/protocol/environment'

/** Where package managers fetch from: of npm, pip, cargo, gem, go, and apt on Debian and Ubuntu. */
const PACKAGE_HOSTS = [
  'registry.npmjs.org',
  'pypi.org',
  'files.pythonhosted.org',
  'crates.io',
  'index.crates.io',
  'static.crates.io',
  'rubygems.org',
  'index.rubygems.org',
  'proxy.golang.org',
  'sum.golang.org',
  'deb.debian.org',
  'security.debian.org',
  'archive.ubuntu.com',
  'security.ubuntu.com',
]

/** The network rule of an environment that keeps what runs in it from hosts; null: it does not. */
export function limitedNetwork(
  config: EnvironmentConfig | undefined,
): Extract<NetworkingConfig, { type: 'limited' }> | null {
  return config && 'networking' in config && config.networking.type === 'limited' ? config.networking : null
}

/** Hosts that commands may connect to, with `*.`; null: all. */
export function allowedHosts(config: EnvironmentConfig): string[] | null {
  const network = limitedNetwork(config)
  return network && [...network.allowed_hosts, ...(network.allow_package_managers ? PACKAGE_HOSTS : [])]
}

/** Whether a host is one of those, by name or below a `*.`. */
export function isHostIn(hosts: readonly string[], host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  return hosts.some((each) => {
    const known = each.toLowerCase()
    return known.startsWith('*.') ? name.endsWith(known.slice(1)) : name === known
  })
}

/** The host that an address names; null where it names none. */
export const hostOf = (url: unknown): string | null =>
  typeof url === 'string' && URL.canParse(url) ? new URL(url).hostname : null
