import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface GitHost {
  /** Ends in `/`. */
  url: string
  /** Of the folder that repositories lie in. */
  folder: string
  /** What is asked for, beside `x-access-token`; null: nothing. */
  token: string | null
  /** Requests that came, with what they were sent as `Authorization`. */
  seen: { path: string; authorization: string | null }[]
  /** Waits before it answers, until it is let go. */
  hold: Promise<void> | null
  close(): Promise<void>
}

export function git(cwd: string, ...args: string[]): string {
  const identity = ['-c', 'user.name=T', '-c', 'user.email=t@example.org', '-c', 'init.defaultBranch=main']
  const env = { PATH: process.env.PATH, HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1' }
  const { status, stdout, stderr } = spawnSync('git', [...identity, ...args], { cwd, encoding: 'utf8', env })
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}

/** Makes a repository with these files in one commit; answers its folder. */
export function makeRepository(folder: string, name: string, files: Record<string, string>): string {
  const place = join(folder, name)
  mkdirSync(place, { recursive: true })
  git(place, 'init', '--quiet')
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(place, path, '..'), { recursive: true })
    writeFileSync(join(place, path), content)
  }
  git(place, 'add', '-A', '-f')
  git(place, 'commit', '--quiet', '-m', 'one')
  return place
}

/** A host that serves the repositories of a folder by git's own program, over HTTP on loopback. */
export async function gitHost(): Promise<GitHost> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-git-'))
  const host: GitHost = { url: '', folder, token: null, seen: [], hold: null, close: async () => undefined }
  const server = createServer(async (request, response) => {
    const { pathname, search } = new URL(request.url!, 'http://x')
    const authorization = request.headers.authorization ?? null
    host.seen.push({ path: pathname, authorization })
    await host.hold
    const sent = authorization && Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString()
    if (host.token !== null && sent !== `x-access-token:${host.token}`) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
      return
    }
    if (pathname.startsWith('/forbidden/')) return void response.writeHead(403).end()
    const child = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env.PATH,
        GIT_PROJECT_ROOT: folder,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: pathname,
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'],
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
        HTTP_GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        REMOTE_USER: 'x',
        GIT_CONFIG_COUNT: '2',
        GIT_CONFIG_KEY_0: 'uploadpack.allowAnySHA1InWant',
        GIT_CONFIG_VALUE_0: 'true',
        GIT_CONFIG_KEY_1: 'safe.directory',
        GIT_CONFIG_VALUE_1: '*',
      },
    })
    request.pipe(child.stdin)
    child.stdin.on('error', () => undefined)
    let head: Buffer = Buffer.alloc(0)
    let begun = false
    child.stdout.on('data', (piece: Buffer) => {
      if (begun) return void response.write(piece)
      head = Buffer.concat([head, piece])
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      begun = true
      const fields = head
        .subarray(0, end)
        .toString()
        .split('\r\n')
        .map((line) => line.split(/: (.*)/s, 2) as [string, string])
      const status = Number(fields.find(([name]) => name === 'Status')?.[1].split(' ')[0] ?? 200)
      response.writeHead(status, fields.filter(([name]) => name !== 'Status').flat())
      response.write(head.subarray(end + 4))
    })
    child.once('close', () => response.end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  host.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  host.close = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(() => resolve()))
  }
  return host
}
