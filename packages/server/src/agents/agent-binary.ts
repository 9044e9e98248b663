import { accessSync, constants, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

/** Version of the Agent SDK that is installed. */
export function agentSdkVersion(): string {
  try {
    const entry = require.resolve('@anthropic-ai/claude-agent-sdk')
    const { version } = JSON.parse(readFileSync(join(dirname(entry), 'package.json'), 'utf8')) as { version: string }
    return version
  } catch {
    return 'unknown'
  }
}

/** Path of the binary that comes with the SDK for this machine, or null. */
export function bundledBinary(): string | null {
  const names = [`linux-${process.arch}-musl`, `linux-${process.arch}`, `${process.platform}-${process.arch}`]
  for (const name of names.reverse())
    try {
      return require.resolve(`@anthropic-ai/claude-agent-sdk-${name}/claude`)
    } catch {
      continue
    }
  return null
}

/** Null when the agent can be started, else what is wrong and what to do. */
export function agentProblem(configured: string | null): string | null {
  const path = configured ?? bundledBinary()
  if (path === null)
    return `The agent binary for ${process.platform}-${process.arch} is not installed. Run npm install without --omit=optional, or set TROUPE_AGENT_EXECUTABLE.`
  try {
    accessSync(path, configured === null ? constants.X_OK : constants.R_OK)
    return null
  } catch {
    return `The agent binary ${path} is missing or cannot be executed. Reinstall, or correct TROUPE_AGENT_EXECUTABLE.`
  }
}

/** Null when bypassed permissions will be accepted, else why not: the binary refuses them to root outside a sandbox. */
export function bypassProblem(env: NodeJS.ProcessEnv, agentUser: string | null = null): string | null {
  const isRoot = process.getuid?.() === 0
  if (!isRoot || env.IS_SANDBOX === '1' || agentUser !== null) return null
  return 'The agent refuses permission_mode bypassPermissions when it runs as root. Run the server as another user, set TROUPE_AGENT_USER to have the agents run as one, or, if this machine is a sandbox made for the purpose, start it with IS_SANDBOX=1.'
}
