import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** What counts as a credential or an endpoint of the operator's own: any of these keeps the demo model away. */
const CREDENTIALS = [
  'ANTHROPIC_API_KEY',
  'ANTHROPIC_AUTH_TOKEN',
  'CLAUDE_CODE_OAUTH_TOKEN',
  'ANTHROPIC_BASE_URL',
  'CLAUDE_CODE_USE_BEDROCK',
  'CLAUDE_CODE_USE_VERTEX',
  'CLAUDE_CODE_USE_FOUNDRY',
] as const

export interface ModelSource {
  source: 'configured' | 'demo' | 'none'
  /** In words: who answers and how to change it. */
  note: string
  /** The login that Claude Code has stored on this machine, if that is what counts. */
  storedLogin: string | null
}

/** Who answers for the model. Never the demo model when credentials exist or `NODE_ENV` is `production`, unless it is asked for. */
export function chooseModelSource(env: NodeJS.ProcessEnv, demo: 'auto' | 'on' | 'off'): ModelSource {
  const named = CREDENTIALS.find((name) => env[name])
  const login = storedLogin(env)
  if (demo === 'on')
    return {
      source: 'demo',
      note: 'The demo model answers: a script, not a language model (TROUPE_DEMO_MODEL=on).',
      storedLogin: null,
    }
  if (named) return { source: 'configured', note: `The model is reached with ${named}.`, storedLogin: login }
  if (login)
    return {
      source: 'configured',
      note: 'The model is reached with the login Claude Code has stored on this machine.',
      storedLogin: login,
    }
  if (demo === 'auto' && env.NODE_ENV !== 'production')
    return {
      source: 'demo',
      note: 'The demo model answers: a script, not a language model. Set ANTHROPIC_API_KEY and restart to use a real one.',
      storedLogin: null,
    }
  return {
    source: 'none',
    note: 'No model is configured: set ANTHROPIC_API_KEY (or another credential of Claude Code) and restart.',
    storedLogin: null,
  }
}

function storedLogin(env: NodeJS.ProcessEnv): string | null {
  const folder = env.CLAUDE_CONFIG_DIR ?? join(env.HOME ?? homedir(), '.claude')
  const file = join(folder, '.credentials.json')
  return existsSync(file) ? file : null
}
