import { startApp } from '@troupe/server/app'
import { loadConfig } from '@troupe/server/config'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tempFolder } from './cli.ts'

/**
 * A real server with the genuine agent and the demo model, in a folder of its own. `restart` ends it and starts another
 * on the same port and data.
 */
export async function realServer() {
  const folder = tempFolder()
  const start = (port: number) =>
    startApp(
      loadConfig({
        flags: { port, data_dir: 'data', demo_model: 'on', log_level: 'silent', drain_seconds: 0 },
        env: { PATH: process.env.PATH, HOME: folder.path },
        cwd: folder.path,
      }),
    )
  let app = await start(0)
  return {
    url: app.url,
    dataDir: app.config.data_dir,
    async stop() {
      await app.stop()
    },
    async restart() {
      await app.stop()
      app = await start(Number(new URL(app.url).port))
    },
    async [Symbol.asyncDispose]() {
      await app.stop()
      folder[Symbol.dispose]()
    },
  }
}

/** A server whose every answer is the test's, for what the real one never says. */
export async function fakeServer(answer: (response: ServerResponse, url: string, method: string) => void) {
  const server = createServer((request, response) => {
    request.resume().once('end', () => answer(response, request.url!, request.method!))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

/** A prompt that the demo model plays step by step. */
export const script = (...steps: object[]) => `Play this:\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
