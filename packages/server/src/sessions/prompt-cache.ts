import type { PromptCache } from '@troupe/protocol/turn'
import { createHash } from 'node:crypto'
import type { CachePrefix, SessionRow } from '../store/session-row.ts'

/** What one request used of the cache. */
interface Use {
  readTokens: number
  createdTokens: number
  created1hTokens: number
  at: number
}

/** What the agent says about itself at the beginning of a turn. */
interface AgentWords {
  model: string
  tools: string[]
  mcp_servers: { name: string }[]
  cwd: string
  claude_code_version: string
}

/** Lifetimes of a prompt cache, in ms; reading prolongs them. As the Messages API documents them. */
const FIVE_MINUTES = 5 * 60_000
const ONE_HOUR = 60 * 60_000

/** Share of what could have been read, from which on it was a hit: endpoints round to blocks. */
const HIT = 0.9

/** What stands before the conversation in each request, hashed, and how much of it the cache now holds. */
export function prefixOf(session: Pick<SessionRow, 'agent'>, agent: AgentWords, use: Use): CachePrefix {
  const { system, model } = session.agent
  return {
    model: hash([agent.model, model.effort ?? null]),
    // Claude Code's own prompt changes with its version.
    system: hash([system ?? ['claude_code', agent.claude_code_version]]),
    tools: hash([agent.tools, agent.mcp_servers.map((server) => server.name)]),
    cwd: hash([agent.cwd]),
    tokens: use.readTokens + use.createdTokens,
    ttlMs: use.created1hTokens > 0 ? ONE_HOUR : FIVE_MINUTES,
    at: use.at,
  }
}

/**
 * How a turn's first request met the cache that the turn before had left. The figures are the endpoint's; the reason is
 * told from what Troupe knows to have changed, the costliest first, and is `unknown` where nothing did.
 */
export function judgeCache(before: CachePrefix | null, now: CachePrefix, use: Use): PromptCache {
  if (use.readTokens === 0 && use.createdTokens === 0) return { status: 'none', reason: null }
  if (!before) return { status: use.readTokens > 0 ? 'partial' : 'miss', reason: 'first_turn' }
  if (use.readTokens >= before.tokens * HIT && use.readTokens > 0) return { status: 'hit', reason: null }
  return { status: use.readTokens > 0 ? 'partial' : 'miss', reason: reasonOf(before, now) }
}

function reasonOf(before: CachePrefix, now: CachePrefix): PromptCache['reason'] {
  if (before.model !== now.model) return 'model_changed'
  if (before.tools !== now.tools) return 'tools_changed'
  if (before.system !== now.system) return 'system_changed'
  if (before.cwd !== now.cwd) return 'cwd_changed'
  if (now.at - before.at > before.ttlMs) return 'expired'
  return 'unknown'
}

const hash = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16)
