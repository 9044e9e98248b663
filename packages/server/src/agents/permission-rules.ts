import { realpathSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fits, MAX_TEXT } from './wildcards.ts'

/** A call as rules see it. */
export interface Call {
  name: string
  input: unknown
  /** The workdir that paths are relative to. */
  cwd: string
}

interface Parsed {
  tool: string
  pattern: string | null
}

/** Reads `Tool` or `Tool(pattern)`. Null when the text is neither. */
export function parseRule(text: string): Parsed | null {
  const match = /^([A-Za-z_*][A-Za-z0-9_*.:-]*)(?:\(([\s\S]+)\))?$/.exec(text.trim())
  return match ? { tool: match[1]!, pattern: match[2] ?? null } : null
}

/** How close a rule is to a call; of two that match, the closer one counts. */
export function closeness(text: string): number {
  const rule = parseRule(text)
  if (!rule || rule.tool === '*') return 0
  if (rule.pattern !== null) return 3
  return /^mcp__[^_]+(_[^_]+)*$/.test(rule.tool) || rule.tool.endsWith('__*') ? 1 : 2
}

/**
 * Whether a rule speaks of a call. A rule that allows must be sure: of a command that is more than one simple command
 * it allows nothing unless it names it whole, and of a path it looks at where links lead, too. A rule that refuses or asks
 * need only suspect: one part of a command is enough. A rule that cannot be read matches nothing that it would allow, and all that it would refuse.
 */
export function ruleMatches(text: string, call: Call, allows: boolean): boolean {
  const rule = parseRule(text)
  if (!rule) return !allows
  if (!toolMatches(rule.tool, call.name)) return false
  return rule.pattern === null || patternMatches(rule.pattern, call, allows)
}

function toolMatches(tool: string, name: string): boolean {
  if (tool === '*' || tool === name) return true
  if (tool === 'Task' || tool === 'Agent') return name === 'Task' || name === 'Agent'
  if (!tool.startsWith('mcp__')) return false
  return name.startsWith(`${tool.replace(/__\*$/, '')}__`)
}

function patternMatches(pattern: string, call: Call, allows: boolean): boolean {
  const input = (typeof call.input === 'object' && call.input !== null ? call.input : {}) as Record<string, unknown>
  if (typeof input.command === 'string') return commandMatches(pattern, input.command, allows)
  const path = pathOf(input)
  if (path !== null) return pathMatches(pattern, path, call.cwd, allows)
  if (pattern.startsWith('domain:')) return domainMatches(pattern.slice('domain:'.length), input.url)
  return !allows
}

function commandMatches(pattern: string, command: string, allows: boolean): boolean {
  if (pattern.startsWith('=')) return command.trim() === pattern.slice(1).trim()
  if (command.length > MAX_TEXT) return !allows
  const { parts, simple } = splitCommand(command)
  if (allows) return simple && onePart(pattern, parts[0] ?? '')
  return onePart(pattern, command.trim()) || parts.some((part) => onePart(pattern, part))
}

/** `git:*` is a command that begins with these words; else `*` stands for anything. */
function onePart(pattern: string, part: string): boolean {
  if (pattern.endsWith(':*')) {
    const words = pattern.slice(0, -2)
    return part === words || part.startsWith(`${words} `)
  }
  return fits(pattern, part, true)
}

/**
 * The commands of a shell line. `simple` only when it is one command without substitution, redirection or control: what
 * is in doubt is not simple.
 */
export function splitCommand(line: string): { parts: string[]; simple: boolean } {
  const parts: string[] = []
  let part = ''
  let quote: string | null = null
  let simple = true
  for (let at = 0; at < line.length; at++) {
    const char = line[at]!
    if (char === '\\' && quote !== "'") {
      part += char + (line[++at] ?? '')
      if (line[at] === '\n') simple = false
    } else if (quote !== null) {
      if (char === quote) quote = null
      else if (quote === '"' && (char === '`' || (char === '$' && line[at + 1] === '('))) simple = false
      part += char
    } else if (char === '"' || char === "'") {
      quote = char
      part += char
    } else if (/[;&|\n(){}`]/.test(char)) {
      simple = false
      parts.push(part)
      part = ''
    } else {
      if (/[<>$#]/.test(char)) simple = false
      part += char
    }
  }
  parts.push(part)
  const commands = parts.map(bare).filter((text) => text !== '')
  return { parts: commands, simple: simple && quote === null && commands.length === 1 && commands[0] === line.trim() }
}

/** Commands that only look, with any of their options, and write nothing but to their output. */
const LOOKING = new Set(['ls', 'pwd', 'cat', 'head', 'tail', 'wc', 'stat', 'whoami', 'uname', 'true'])

/** Whether a shell line is one plain command that only looks, and only into the workdir. What is in doubt is not. */
export function onlyLooks(line: string, cwd: string): boolean {
  const { parts, simple } = splitCommand(line)
  if (!simple || /[*?[\]~'"\\=]/.test(line)) return false
  const [command = '', ...args] = parts[0]!.split(/\s+/)
  return LOOKING.has(command) && args.every((arg) => arg.startsWith('-') || isInside(arg, cwd))
}

/** A command without what may stand before it. */
const bare = (text: string): string =>
  text.trim().replace(/^((sudo|env|command|exec|nohup|time|nice|[A-Za-z_][A-Za-z0-9_]*=\S*)\s+)+/, '')

/** The path a file tool works on; null when the input names none. */
export function pathOf(input: Record<string, unknown>): string | null {
  for (const field of ['file_path', 'notebook_path', 'path'] as const)
    if (typeof input[field] === 'string') return input[field]
  return null
}

function pathMatches(pattern: string, path: string, cwd: string, allows: boolean): boolean {
  const lexical = resolve(cwd, path)
  if (lexical.length > MAX_TEXT) return !allows
  const real = realPath(lexical)
  if (pattern.startsWith('=')) return (allows ? real : lexical) === resolve(cwd, pattern.slice(1))
  const wanted = resolve(cwd, pattern.replace(/^\/\//, '/'))
  // The workdir itself may lie behind a link; what a rule says of it holds for where it really is.
  const really = insideOf(wanted, cwd) ? realPath(cwd) + wanted.slice(cwd.length) : wanted
  const asNamed = fits(wanted, lexical, false)
  const asIs = fits(really, real, false)
  return allows ? asNamed && asIs : asNamed || asIs
}

/** Whether a path lies in a folder, with all links followed on both sides. */
export function isInside(path: string, folder: string): boolean {
  return insideOf(realPath(resolve(folder, path)), realPath(folder))
}

const insideOf = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)

/** Where a path leads, links followed; what does not exist yet is appended to what does. */
function realPath(path: string): string {
  for (let known = path, rest = ''; ;) {
    try {
      return join(realpathSync(known), rest)
    } catch {
      const parent = dirname(known)
      if (parent === known) return path
      rest = join(known.slice(parent.length), rest)
      known = parent
    }
  }
}

function domainMatches(domain: string, url: unknown): boolean {
  if (typeof url !== 'string' || !URL.canParse(url)) return false
  const { hostname } = new URL(url)
  return hostname === domain || hostname.endsWith(`.${domain}`)
}

/** The rule that remembering an answer to this call leaves; null when it is of a kind that is always asked. */
export function ruleToRemember({ name, input, cwd }: Call): string | null {
  if (name === 'AskUserQuestion' || name === 'ExitPlanMode') return null
  const fields = (typeof input === 'object' && input !== null ? input : {}) as Record<string, unknown>
  if (typeof fields.command === 'string') return `${name}(=${fields.command.trim()})`
  const path = pathOf(fields)
  if (path !== null) return isInside(path, cwd) ? `${name}(${join(cwd, '**')})` : `${name}(=${resolve(cwd, path)})`
  if (typeof fields.url === 'string' && URL.canParse(fields.url))
    return `${name}(domain:${new URL(fields.url).hostname})`
  return name
}
