import { readFileSync } from 'node:fs'
import {
  createServer,
  Agent as HttpAgent,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { rootCertificates } from 'node:tls'
import type { Logger } from '../lib/logger.ts'
import type { Service } from '../lib/service.ts'
import { type Credential, standInEnv } from './credential.ts'
import { outgoing, shownKeys } from './headers.ts'
import { isModelRequest } from './model-requests.ts'
import { relay } from './relay.ts'
import { StandIns } from './stand-ins.ts'

/** Milliseconds that an idle connection to the endpoint is kept; most servers close theirs later. */
const IDLE_MS = 4_000
/** Bytes of headers that one request may have. */
const MAX_HEADER_BYTES = 64 * 1024

/**
 * Stands between the agents and the model's endpoint, on loopback: an agent holds a stand-in, and the real key is added
 * here. Bodies pass as they come, in both directions, at the pace of whoever reads slower; status, headers and the way a
 * request ends pass too: an error is the endpoint's own, a connection that breaks there breaks here, and who leaves here
 * leaves there. There is no time limit: that is for the agent to say. Answers of its own: 401 without a stand-in of a
 * living agent, 404 for what is not needed. Costs a connection pair and no copy of a body.
 */
export class CredentialProxy implements Service {
  readonly #credential: Credential
  readonly #env: NodeJS.ProcessEnv
  readonly #logger: Logger
  readonly #traceparent: (sessionId: string) => string | null
  readonly #standIns = new StandIns()
  readonly #agent: HttpAgent
  readonly #server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: 0, keepAliveTimeout: 0 })

  /**
   * `env`: the server's, for the way to the endpoint: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`. Throws
   * where that cannot be read. `traceparent`: what requests of a session carry now, for an endpoint that traces.
   */
  constructor(
    credential: Credential,
    env: NodeJS.ProcessEnv,
    logger: Logger,
    traceparent: (sessionId: string) => string | null = () => null,
  ) {
    this.#traceparent = traceparent
    this.#credential = credential
    this.#env = env
    this.#logger = logger
    const { HTTP_PROXY, HTTPS_PROXY, NO_PROXY, http_proxy, https_proxy, no_proxy, SSL_CERT_FILE } = env
    const proxyEnv = { HTTP_PROXY, HTTPS_PROXY, NO_PROXY, http_proxy, https_proxy, no_proxy }
    const options = { keepAlive: true, timeout: IDLE_MS, proxyEnv }
    this.#agent =
      credential.base.protocol === 'https:'
        ? new HttpsAgent({
            ...options,
            ...(SSL_CERT_FILE && { ca: [...rootCertificates, readFileSync(SSL_CERT_FILE, 'utf8')] }),
          })
        : new HttpAgent(options)
    this.#server.on('request', (request, response) => this.#forward(request, response))
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Stand-ins that are good now: as many as agents live. */
  get size(): number {
    return this.#standIns.size
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host: '127.0.0.1', port: 0 }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    this.#agent.destroy()
    await closed
  }

  /** The variables by which one agent process reaches the model through here. */
  admit(sessionId: string): Record<string, string> {
    return standInEnv(this.#credential, this.url, this.#standIns.make(sessionId), this.#env)
  }

  /** The process that had these variables is gone, or never was: its stand-in opens nothing any more. */
  dismiss(env: Record<string, string>): void {
    for (const token of [env.ANTHROPIC_API_KEY, env.ANTHROPIC_AUTH_TOKEN]) if (token) this.#standIns.end(token)
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    const { apiKey, bearer } = shownKeys(request.headers)
    const session = {
      apiKey: apiKey === null ? null : this.#standIns.sessionOf(apiKey),
      bearer: bearer === null ? null : this.#standIns.sessionOf(bearer),
    }
    const sessionId = session.apiKey ?? session.bearer
    const [path = '', query] = (request.url ?? '').split(/\?(.*)/s)
    // The agent may knock before its first request, to have a connection at hand, without a key. It goes no further.
    if (request.method === 'HEAD' && path === '/') return void response.writeHead(200).end()
    if (sessionId === null)
      return refuse(response, 401, 'authentication_error', 'This key is not one of an agent that is alive.')
    if (!isModelRequest(request.method, path))
      return refuse(
        response,
        404,
        'not_found_error',
        `The credential proxy does not forward ${request.method} ${path}.`,
      )
    const { base } = this.#credential
    const send = base.protocol === 'https:' ? httpsRequest : httpRequest
    const shown = { apiKey: session.apiKey !== null, bearer: session.bearer !== null }
    const onward = send({
      agent: this.#agent,
      protocol: base.protocol,
      hostname: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port || undefined,
      method: request.method,
      path: base.pathname.replace(/\/$/, '') + path + (query === undefined ? '' : `?${query}`),
      headers: traced(
        outgoing(request.method, request.rawHeaders, request.headers, shown, this.#credential),
        this.#traceparent(sessionId),
      ),
      setHost: false,
    })
    // Only what has a body by its method: another's would stand unframed behind its head, and be read there as a request.
    relay(request, response, onward, request.method === 'POST', ({ code, name }) =>
      this.#logger.warn({ session: sessionId, code: code ?? name }, 'the model endpoint broke off'),
    )
  }
}

/** An agent that traces by itself says more than we know. */
function traced(headers: string[], traceparent: string | null): string[] {
  const told = headers.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'traceparent')
  return traceparent === null || told ? headers : [...headers, 'Traceparent', traceparent]
}

/** An answer of the proxy itself, in the words of the API that it stands for. */
function refuse(response: ServerResponse, status: number, type: string, message: string): void {
  const body = JSON.stringify({ type: 'error', error: { type, message } })
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
    'x-should-retry': 'false',
  })
  response.end(body)
}
