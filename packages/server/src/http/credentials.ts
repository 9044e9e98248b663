import type { FastifyRequest } from 'fastify'

/** The cookie in which a browser keeps its login, or a token for one session. */
export const COOKIE = 'troupe_session'

export interface Credential {
  secret: string
  /** A cookie is sent by the browser itself, also where another page makes it ask. */
  from: 'header' | 'cookie' | 'query'
}

/** What a request proves itself with: a header first, then `access_token` (streams only), then the cookie. */
export function credentialOf(request: FastifyRequest): Credential | null {
  const { authorization, cookie } = request.headers
  const bearer = authorization === undefined ? undefined : /^Bearer +(\S+)\s*$/i.exec(authorization)?.[1]
  const key = request.headers['x-api-key']
  const header = bearer ?? (typeof key === 'string' && key !== '' ? key : undefined) ?? authorization
  if (header !== undefined) return { secret: header, from: 'header' }
  if (request.method === 'GET' && request.routeOptions.url?.endsWith('/stream')) {
    const token = new URLSearchParams(request.url.split('?', 2)[1] ?? '').get('access_token')
    if (token) return { secret: token, from: 'query' }
  }
  const found = cookie
    ?.split(';')
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(`${COOKIE}=`))
  const secret = found?.slice(COOKIE.length + 1)
  return secret ? { secret, from: 'cookie' } : null
}

/** A request's address as logs may have it: without what it proves itself with. */
export const loggedUrl = ({ url }: FastifyRequest): string => url.replaceAll(/([?&]access_token=)[^&]*/g, '$1…')

/** `Set-Cookie` for a login: for our own pages only, and out of reach of their scripts. */
export const loginCookie = (secret: string, seconds: number, secure: boolean): string =>
  `${COOKIE}=${secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure ? '; Secure' : ''}`
