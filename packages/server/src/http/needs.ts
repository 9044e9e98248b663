import type { ScopeName } from '@troupe/protocol/access'

/**
 * What a request needs. `public`: nothing, not even a key. `any`: a key, whatever it may. `inside`: what the route asks
 * of its callers itself, which are our own agents. A scope, or one of several.
 */
export type Need = 'public' | 'any' | 'inside' | readonly ScopeName[]

const one = (...scopes: ScopeName[]): Need => scopes

/** What reading and writing needs below a path; the longest path that fits counts. */
const AREAS: readonly { path: string; read: Need; write: Need }[] = [
  { path: '/v1/sessions', read: one('sessions:read'), write: one('sessions:write') },
  { path: '/v1/approvals', read: one('sessions:read'), write: one('approvals:write') },
  { path: '/v1/grants', read: one('sessions:read'), write: one('approvals:write') },
  { path: '/v1/events', read: one('sessions:read'), write: one('sessions:write') },
  { path: '/v1/search', read: one('sessions:read'), write: one('sessions:write') },
  { path: '/v1/queue', read: one('sessions:read'), write: one('admin') },
  { path: '/v1/models', read: 'any', write: one('admin') },
  { path: '/v1/info', read: 'any', write: one('admin') },
  { path: '/v1/usage', read: one('usage:read'), write: one('admin') },
  { path: '/v1/agents', read: one('agents:read'), write: one('agents:write') },
  { path: '/v1/skills', read: one('agents:read'), write: one('agents:write') },
  { path: '/v1/environments', read: one('environments:read'), write: one('environments:write') },
  { path: '/v1/files', read: one('files:read'), write: one('files:write') },
  { path: '/v1/deployments', read: one('deployments:read'), write: one('deployments:write') },
  { path: '/v1/deployment_runs', read: one('deployments:read'), write: one('deployments:write') },
  { path: '/v1/webhook_endpoints', read: one('webhooks:read'), write: one('webhooks:write') },
  { path: '/v1/api_keys', read: one('admin'), write: one('admin') },
  { path: '/v1/workspaces', read: one('operator'), write: one('operator') },
  { path: '/v1/audit_events', read: one('admin'), write: one('operator') },
  { path: '/v1/login', read: 'public', write: 'public' },
  { path: '/v1/logout', read: 'public', write: 'public' },
  { path: '/execute', read: one('sessions:write'), write: one('sessions:write') },
  { path: '/status', read: one('sessions:read'), write: one('sessions:write') },
  { path: '/cancel', read: one('sessions:send'), write: one('sessions:send') },
  { path: '/sessions', read: one('sessions:read'), write: one('sessions:write') },
  { path: '/internal', read: 'inside', write: 'inside' },
  { path: '/metrics', read: one('metrics:read'), write: one('operator') },
  { path: '/health', read: 'public', write: one('operator') },
  { path: '/ready', read: 'public', write: one('operator') },
  { path: '/docs', read: 'public', write: one('operator') },
  { path: '/openapi.json', read: 'public', write: one('operator') },
]

/** Routes that need another thing than what lies around them. */
const ROUTES: Readonly<Record<string, Need>> = {
  'GET /': 'public',
  // What each event of the body needs is asked when it has been read.
  'POST /v1/sessions/:session_id/events': one('sessions:send', 'approvals:write'),
  'POST /v1/sessions/:session_id/compact': one('sessions:send'),
  'POST /v1/sessions/:session_id/inputs/:event_id': one('sessions:send'),
  'DELETE /v1/sessions/:session_id/inputs/:event_id': one('sessions:send'),
  'POST /v1/sessions/:session_id/turns/:turn_id/cancel': one('sessions:send'),
}

/** What a route needs; null where nothing says so, which is a mistake: only an operator gets in there. */
export function needOf(method: string, route: string): Need | null {
  const path = route.length > 1 ? route.replace(/\/(\*)?$/, '') : route
  const exact = ROUTES[`${method} ${path}`]
  if (exact) return exact
  if (method === 'OPTIONS') return 'public'
  const area = AREAS.filter((each) => path === each.path || path.startsWith(`${each.path}/`)).toSorted(
    (a, b) => b.path.length - a.path.length,
  )[0]
  return area ? (method === 'GET' ? area.read : area.write) : null
}
