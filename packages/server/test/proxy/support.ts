import { createServer, type IncomingMessage, type RequestListener, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { silentLogger } from '../../src/lib/logger.ts'
import { type Credential, findCredential } from '../../src/proxy/credential.ts'
import { CredentialProxy } from '../../src/proxy/credential-proxy.ts'

/** An endpoint on loopback that answers as told. Gone with the test. */
export async function endpoint(answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A proxy as a server with this environment has it. Gone with the test. */
export async function proxyFor(env: NodeJS.ProcessEnv): Promise<CredentialProxy> {
  const proxy = new CredentialProxy(
    findCredential(env, { source: 'configured' }, null) as Credential,
    env,
    silentLogger,
  )
  await proxy.start()
  onTestFinished(() => proxy.stop())
  return proxy
}

/** A request as an agent sends it; resolves with the answer's head. Rejects where none comes. */
export function ask(
  url: string,
  path: string,
  headers: Record<string, string>,
  { method = 'POST', body = '{}', signal }: { method?: string; body?: string; signal?: AbortSignal } = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { method, headers, agent: false, ...(signal && { signal }) }, resolve)
    sent.once('error', reject)
    sent.end(method === 'POST' ? body : undefined)
  })
}

export async function textOf(message: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of message.setEncoding('utf8')) text += chunk as string
  return text
}
