import type { FastifyReply, FastifyRequest } from 'fastify'
import { gzipSync } from 'node:zlib'
import { type ConsoleFile, readConsoleFiles } from '../console-files.ts'
import type { Server } from '../server.ts'

/** Nothing from elsewhere, no inline script, no inline style, in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Paths that belong to the API: what is unknown below them is an error for browsers too. */
const API =
  /^\/(v1|execute|status|cancel|sessions|docs|openapi\.json|health|ready|metrics|mcp|a2a|assets|\.well-known)(\/|$)/

const NOT_BUILT = `<!doctype html><meta charset="utf-8"><title>Troupe</title>
<h1>The console is not built</h1>
<p>The server runs and its API works. To build this page, run <code>npm run build</code> in the folder of the sources and start the server again.</p>
<p lang="ja">サーバーは動いており、API も使えます。この画面を作るには、ソースのフォルダーで <code>npm run build</code> を実行して、サーバーを起動し直してください。</p>
<p><a href="/docs">/docs</a></p>
`

export interface Console {
  /** Whether the request is a browser's for a page. */
  wantsPage(request: FastifyRequest): boolean
  /** Answers with the console's page, or how to build it. */
  page(request: FastifyRequest, reply: FastifyReply): FastifyReply
}

/** Serves the console's files, and its page wherever a browser asks for one. */
export function consoleRoutes(server: Server, files = readConsoleFiles()): Console {
  const packed = new Map<ConsoleFile, Buffer>()

  for (const [path, file] of files)
    if (path !== '/index.html')
      server.get(path, { schema: { hide: true } as never, config: { access: 'public' } }, (request, reply) =>
        send(request, reply, file),
      )

  function send(request: FastifyRequest, reply: FastifyReply, file: ConsoleFile): FastifyReply {
    void reply
      .header('etag', file.etag)
      .header('cache-control', file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache')
      .header('content-security-policy', POLICY)
      .header('referrer-policy', 'no-referrer')
      .header('x-content-type-options', 'nosniff')
      .header('vary', 'accept, accept-encoding')
    if (request.headers['if-none-match'] === file.etag) return reply.code(304).send()
    const gzip = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))
    if (gzip) void reply.header('content-encoding', 'gzip')
    return reply
      .type(file.type)
      .serializer((body: Buffer) => body as never)
      .send((gzip ? compressed(file) : file.body) as never)
  }

  /** Made at the first request and kept: the files do not change while the server runs. */
  function compressed(file: ConsoleFile): Buffer {
    const known = packed.get(file)
    if (known) return known
    const body = gzipSync(file.body, { level: 9 })
    packed.set(file, body)
    return body
  }

  return {
    wantsPage: ({ method, url, headers }) =>
      method === 'GET' && /\btext\/html\b/.test(headers.accept ?? '') && !API.test(url.split('?', 1)[0]!),
    page(request, reply) {
      const page = files.get('/index.html')
      if (page) return send(request, reply, page)
      return reply
        .code(503)
        .header('content-security-policy', "default-src 'none'")
        .header('cache-control', 'no-store')
        .type('text/html; charset=utf-8')
        .serializer((text: string) => text)
        .send(NOT_BUILT as never)
    },
  }
}
