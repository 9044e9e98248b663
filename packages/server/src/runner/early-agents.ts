import type { Options } from '@anthropic-ai/claude-agent-sdk'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentStart } from './agent-process.ts'

/**
 * A process that begins with a parked call makes it again before it has read what the SDK tells it first, the agents it
 * may start among it: it then knows none of them for that whole turn (measured on 2.1.330). So they lie in a file in its
 * config dir, which is its alone, and which it reads at its start. Not on the command line: every user of the machine can
 * read that, and it has a limit. Never throws: on a full disk it begins without them.
 */
export function earlyAgents(
  agents: Options['agents'],
  configDir: string | undefined,
  { redrive }: Pick<AgentStart, 'redrive'>,
): Pick<Options, 'extraArgs'> {
  if (agents === undefined || configDir === undefined || redrive === null) return {}
  const file = join(configDir, 'agents.json')
  try {
    // What the agent may have put there, a link perhaps, is not written through.
    rmSync(file, { force: true, recursive: true })
    writeFileSync(file, JSON.stringify(agents), { flag: 'wx' })
    return { extraArgs: { agents: file } }
  } catch {
    return {}
  }
}
