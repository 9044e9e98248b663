import type { Session } from '@troupe/protocol/session'
import type { Usage } from '@troupe/protocol/turn'
import type { Paint } from './paint.ts'

/** `0.8 s`, `1 min 15 s`, `2 h 3 min`. */
export function duration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** `12 s`, `5 min`, `3 h`, `4 d`. */
export function age(since: string, now: number = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}

/** Dollars; a small cost is not shown as nothing. */
export function money(usd: number): string {
  if (usd === 0) return '$0'
  return usd < 0.0001 ? '<$0.0001' : `$${usd.toFixed(usd < 1 ? 4 : 2)}`
}

type InputAndOutput = Pick<
  Usage,
  'input_tokens' | 'output_tokens' | 'cache_read_input_tokens' | 'cache_creation_input_tokens'
>

/** `1,234 in, 56 out`: all input, cached or not. */
export function tokens(usage: InputAndOutput): string {
  const input = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
  return `${input.toLocaleString('en-US')} in, ${usage.output_tokens.toLocaleString('en-US')} out`
}

type Tone = 'green' | 'red' | 'yellow' | 'cyan' | 'dim'

/** A mark, and the wire's words for where the session stands: its status, and the stop reason once it is idle. */
export function statusWords(session: Pick<Session, 'status' | 'stop_reason' | 'queue' | 'last_error'>) {
  const say = (mark: string, words: string, tone: Tone) => ({ mark, words, tone })
  switch (session.status) {
    case 'running':
      return session.queue ? say('◌', 'queued', 'cyan') : say('●', 'running', 'cyan')
    case 'rescheduling':
      return say('↻', 'rescheduling', 'yellow')
    case 'terminated':
      return say('·', 'terminated', 'dim')
    default: {
      const reason = session.stop_reason?.type
      if (reason === undefined) return say('○', 'idle', 'dim')
      if (reason === 'requires_action') return say('?', reason, 'yellow')
      if (session.last_error) return say('✗', reason, 'red')
      return reason === 'end_turn' ? say('✓', reason, 'green') : say('■', reason, 'yellow')
    }
  }
}

export function paintedStatus(session: Parameters<typeof statusWords>[0], paint: Paint): string {
  const { mark, words, tone } = statusWords(session)
  return paint[tone](`${mark} ${words}`)
}

/** What the built-in tools do, in a word, and which input says to what. */
const TOOLS: Record<string, { verb: string; target: string }> = {
  Bash: { verb: 'run', target: 'command' },
  Read: { verb: 'read', target: 'file_path' },
  Write: { verb: 'write', target: 'file_path' },
  Edit: { verb: 'edit', target: 'file_path' },
  NotebookEdit: { verb: 'edit', target: 'notebook_path' },
  Glob: { verb: 'find', target: 'pattern' },
  Grep: { verb: 'search', target: 'pattern' },
  WebFetch: { verb: 'fetch', target: 'url' },
  WebSearch: { verb: 'search web', target: 'query' },
  Task: { verb: 'delegate', target: 'description' },
  Agent: { verb: 'delegate', target: 'description' },
  AskUserQuestion: { verb: 'ask', target: '' },
  TodoWrite: { verb: 'plan', target: '' },
}

/** Verb and target of a tool call. A path below the workdir is shown from there. */
export function toolWords(
  tool: { name: string; server: string | null; input: unknown },
  cwd: string | null,
): { verb: string; target: string } {
  const input = typeof tool.input === 'object' && tool.input !== null ? (tool.input as Record<string, unknown>) : {}
  const known = tool.server === null && Object.hasOwn(TOOLS, tool.name) ? TOOLS[tool.name] : undefined
  const verb = known?.verb ?? (tool.server === null ? tool.name : `${tool.server}.${tool.name}`)
  const named = known ? input[known.target] : Object.values(input).find((value) => typeof value === 'string')
  const target = typeof named === 'string' ? named : ''
  return { verb, target: cwd !== null && target.startsWith(`${cwd}/`) ? target.slice(cwd.length + 1) : target }
}
