import { GATEWAY_URL } from '../environments/container-network.ts'
import { FIRST_PARTY, OTHER_WAYS } from './credential.ts'
import type { WaysOut } from './ways-out.ts'

/** What runs in a container reaches of itself without the gateway. */
const ITSELF = '127.0.0.1,localhost,::1'

const THROUGH_GATEWAY = {
  HTTP_PROXY: GATEWAY_URL,
  HTTPS_PROXY: GATEWAY_URL,
  http_proxy: GATEWAY_URL,
  https_proxy: GATEWAY_URL,
  NO_PROXY: ITSELF,
  no_proxy: ITSELF,
}

/** The environment of a command whose network is its container's own. */
export const commandBehindGateway = (env: Record<string, string>): Record<string, string> => ({
  ...env,
  ...THROUGH_GATEWAY,
})

/**
 * The same of an agent, and what its model's endpoint is: one that it asks by http is where the gateway is for it, one that
 * it asks by https is reached by its name. Others than a Messages endpoint need their hosts in the environment's list.
 */
export function agentBehindGateway(
  env: Record<string, string>,
): Pick<WaysOut, 'endpoint' | 'model'> & { env: Record<string, string> } {
  const within = commandBehindGateway(env)
  const isOther = OTHER_WAYS.some((name) => env[name])
  const base = URL.parse(env.ANTHROPIC_BASE_URL || FIRST_PARTY)
  if (base?.protocol === 'http:') {
    const path = base.pathname.replace(/\/$/, '')
    return { env: { ...within, ANTHROPIC_BASE_URL: GATEWAY_URL + path }, endpoint: null, model: base }
  }
  return { env: within, endpoint: isOther || base?.protocol !== 'https:' ? null : base, model: null }
}
