import { agentProblem, agentSdkVersion, bundledBinary, bypassProblem } from '@troupe/server/agents/agent-binary'
import { sandboxProblem } from '@troupe/server/environments/sandbox-problem'
import { chooseModelSource } from '@troupe/server/agents/model-source'
import type { Config } from '@troupe/server/config'
import { chooseProxy } from '@troupe/server/proxy/choose-proxy'
import { findUser } from '@troupe/server/lib/agent-user'
import { imageOf } from '@troupe/server/lib/container-image'
import { rootProblem } from '@troupe/server/runner/choose-agent-user'
import { containersOf } from '@troupe/server/runner/containers-of'
import { detectContainment } from '@troupe/server/runner/containment'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** `warn`: it works, but not for everything or not for long. */
export interface Check {
  name: string
  status: 'ok' | 'warn' | 'fail'
  message: string
}

const ok = (name: string, message: string): Check => ({ name, status: 'ok', message })
const warn = (name: string, message: string): Check => ({ name, status: 'warn', message })
const fail = (name: string, message: string): Check => ({ name, status: 'fail', message })

const GIB = 1024 ** 3

/** Everything a server needs here, in the order in which it needs it. Never rejects: what cannot be checked fails. */
export async function runChecks(config: Config): Promise<Check[]> {
  return Promise.all([
    node(process.versions.node),
    agent(config.agent_executable),
    containment(),
    dataFolder(config.data_dir),
    port(config.host, config.port),
    model(config),
    permissions(config),
    agentUser(config),
    sandbox(config.env.PATH),
    containers(config),
  ])
}

function node(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isNew = major > 22 || (major === 22 && minor >= 12)
  if (isNew) return ok('node', `Node ${version}`)
  return fail('node', `Node ${version} is too old. Install Node 24 (22.12 is the oldest that works).`)
}

async function agent(configured: string | null): Promise<Check> {
  const problem = agentProblem(configured)
  const binary = configured ?? bundledBinary()
  if (problem !== null || binary === null) return fail('agent', problem ?? 'The agent binary is not installed.')
  try {
    const { stdout } = await promisify(execFile)(binary, ['--version'], { timeout: 20_000 })
    return ok('agent', `${stdout.trim()}, Agent SDK ${agentSdkVersion()}`)
  } catch (error) {
    return fail('agent', `${binary} does not run: ${(error as Error).message}. Reinstall with npm install.`)
  }
}

function containment(): Check {
  const { name, note } = detectContainment()
  if (name === 'watchdog' || name === 'parent death signal')
    return warn(
      'containment',
      `${name}: ${note}. With util-linux (setpriv, unshare) and user namespaces it would be stronger.`,
    )
  return ok('containment', `${name}: ${note}`)
}

async function dataFolder(folder: string): Promise<Check> {
  let there = folder
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there)
  try {
    await rm(await mkdtemp(join(there, '.troupe-doctor-')), { recursive: true })
  } catch (error) {
    return fail('data', `${there} cannot be written: ${(error as Error).message}. Choose another with --data-dir.`)
  }
  const { bavail, bsize } = await statfs(there)
  const free = bavail * bsize
  const message = `${folder} (${(free / GIB).toFixed(1)} GiB free)`
  if (free < 0.1 * GIB) return fail('data', `${message}: too little. Make room, or choose another with --data-dir.`)
  return free < GIB ? warn('data', `${message}: not much; transcripts and workdirs grow`) : ok('data', message)
}

async function port(host: string, number: number): Promise<Check> {
  const error = await tryPort(host, number)
  const place = `${host}:${number}`
  if (!error) return ok('port', `${place} is free`)
  if (error.code !== 'EADDRINUSE')
    return fail('port', `${place} cannot be listened on: ${error.message}. Try --port 8000.`)
  const version = await troupeAt(`http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${number}`)
  if (version !== null) return ok('port', `Troupe ${version} already serves on ${place}`)
  return fail('port', `${place} is taken by another program. Stop it, or choose another with --port.`)
}

function tryPort(host: string, number: number): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', resolve)
    probe.listen({ host: host.replace(/^\[|\]$/g, ''), port: number }, () => probe.close(() => resolve(null)))
  })
}

async function troupeAt(url: string): Promise<string | null> {
  try {
    const response = await fetch(`${url}/v1/info`, { signal: AbortSignal.timeout(2_000) })
    const info = (await response.json()) as { name?: unknown; version?: unknown }
    return info.name === 'troupe' ? String(info.version) : null
  } catch {
    return null
  }
}

function model(config: Config): Check {
  const source = chooseModelSource(config.env, config.demo_model)
  if (source.source === 'none') return fail('model', source.note)
  if (source.source === 'demo') return warn('model', source.note)
  try {
    return ok('model', source.note + chooseProxy(config, source, null).note)
  } catch (error) {
    return fail('model', (error as Error).message)
  }
}

/** Only environments that confine need it. */
async function sandbox(searchPath: string | undefined): Promise<Check> {
  const problem = await sandboxProblem(searchPath)
  return problem === null ? ok('sandbox', 'environments can confine commands') : warn('sandbox', problem)
}

/** Each image that is named is tried for real, with the network of this machine and with one of its own. */
async function containers(config: Config): Promise<Check> {
  const images = config.container_images.map((image) => imageOf(image)[0])
  if (images.length === 0) return ok('containers', 'container_images names none, so no environment has any')
  const folder = await mkdtemp(join(tmpdir(), 'troupe-doctor-'))
  try {
    const tried = containersOf(config, detectContainment(), folder)
    const problems = []
    for (const image of images)
      problems.push((await tried.problem(image, false)) ?? (await tried.problem(image, true)) ?? '')
    const said = [...new Set(problems)].filter((problem) => problem !== '').join(' ')
    if (said !== '') return warn('containers', said)
    return ok('containers', `${images.join(', ')}; a network of their own can be made`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Only looked at: what is tried for real, and made for it, is left to the start. */
function agentUser({ agent_user: wanted }: Config): Check {
  const problem = rootProblem(wanted)
  if (problem !== null) return warn('agent user', problem)
  if (wanted === null) return ok('agent user', 'agents run as the user of the server, which is not root')
  const found = process.getuid?.() === 0 ? findUser(wanted) : null
  if (found && found.uid !== 0 && found.gid !== 0) return ok('agent user', `agents run as ${found.name} (${found.uid})`)
  const why = process.getuid?.() === 0 ? 'is no user, or root itself' : 'can only be had by a server that is root'
  return fail('agent user', `TROUPE_AGENT_USER ${JSON.stringify(wanted)} ${why}. Correct it, or leave it out.`)
}

function permissions({ env, agent_user: user }: Config): Check {
  const problem = bypassProblem(env, user)
  if (problem !== null) return warn('permissions', problem)
  const root = process.getuid?.() === 0 && user === null
  return ok(
    'permissions',
    root ? 'root in a sandbox (IS_SANDBOX=1): bypassPermissions works' : 'not root: every permission mode works',
  )
}
