import { ApiError } from '@troupe/protocol/error'
import { MAX_SKILL_FILES } from '@troupe/protocol/skill'
import { parse } from 'yaml'
import type { SkillFile } from '../store/skills.ts'

/** The file that makes a folder a skill. */
export const MAIN = 'SKILL.md'
/** Characters of a path below the skill's folder, and folders in it, at most. */
const MAX_PATH = 255
const MAX_DEPTH = 8
const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/
/** What no path has: other separators, and what a terminal would obey. */
const FORBIDDEN = /[\\:\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u
const FRONTMATTER = /^---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/
/** Bytes of SKILL.md, at most: the agent reads it whole. */
const MAX_MAIN_BYTES = 256 * 1024

/** What of the head of SKILL.md reaches the agent. Others would allow calls, or run commands: `allowed-tools`, `hooks`. */
const KEPT = [
  'name',
  'description',
  'when_to_use',
  'argument-hint',
  'disable-model-invocation',
  'user-invocable',
] as const

/** A skill as it was uploaded. */
export interface SkillContent {
  name: string
  description: string
  /** By paths below its folder. */
  files: SkillFile[]
}

const refused = (pointer: string, detail: string) =>
  new ApiError('validation_failed', detail, { errors: [{ pointer, code: 'custom', detail }] })

/**
 * What was uploaded as a skill: all files lie in one folder, with SKILL.md at its top, whose head names and describes
 * it. Throws `validation_failed`, and `unsupported_feature` for a head with `hooks`.
 */
export function skillContent(uploaded: readonly { path: string; content: Buffer }[]): SkillContent {
  if (uploaded.length === 0) throw refused('/files', 'A skill has at least the file SKILL.md.')
  if (uploaded.length > MAX_SKILL_FILES)
    throw refused('/files', `The skill has ${uploaded.length} files; at most ${MAX_SKILL_FILES} are kept.`)
  const parts = uploaded.map(({ path, content }) => ({ names: namesOf(path), content }))
  const [top] = parts[0]!.names
  const rooted = parts.every(({ names }) => names.length > 1 && names[0] === top)
  const flat = parts.length === 1 && parts[0]!.names.length === 1
  if (!rooted && !flat) throw refused('/files', 'All files of a skill lie in one folder: `name/SKILL.md` and others.')
  const files = parts.map(({ names, content }) => ({ path: (rooted ? names.slice(1) : names).join('/'), content }))
  const seen = new Set<string>()
  for (const { path } of files) {
    const same = path.toLowerCase()
    if (seen.has(same)) throw refused('/files', `The skill has ${JSON.stringify(path)} twice.`)
    seen.add(same)
  }
  for (const { path } of files)
    if ([...seen].some((other) => path.toLowerCase().startsWith(`${other}/`)))
      throw refused('/files', `${JSON.stringify(path)} would lie in a file.`)
  const main = files.find(({ path }) => path === MAIN)
  if (!main) throw refused('/files', 'The skill has no SKILL.md at the top of its folder.')
  if (files.some(({ path }) => path !== MAIN && /(^|\/)skill\.md$/i.test(path)))
    throw refused('/files', 'The skill has another SKILL.md further down; one is one skill.')
  const { head } = partsOf(main.content)
  if ('hooks' in head)
    throw new ApiError('unsupported_feature', 'hooks: a skill that brings commands of its own is not taken.')
  const given = typeof head.name === 'string' ? head.name : rooted ? top! : ''
  if (!NAME.test(given) || given.length > 64)
    throw refused(
      '/files',
      `The skill's name ${JSON.stringify(given)} is not of small letters, digits and hyphens, at most 64.`,
    )
  const { description } = head
  if (typeof description !== 'string' || description.trim() === '' || description.length > 1024)
    throw refused('/files', 'The head of SKILL.md needs a description of at most 1,024 characters.')
  return { name: given, description, files }
}

/** The names on a path. Throws `validation_failed` for one that leads anywhere else, or cannot be a file everywhere. */
function namesOf(path: string): string[] {
  const names = path.replace(/^\.\//, '').split('/')
  const wrong =
    path.length > MAX_PATH ||
    names.length > MAX_DEPTH ||
    FORBIDDEN.test(path) ||
    names.some((name) => name === '' || name === '.' || name === '..' || name !== name.trim())
  if (wrong) throw refused('/files', `${JSON.stringify(path.slice(0, MAX_PATH))} is not a path in a skill.`)
  return names
}

/** SKILL.md as head and words. Throws `validation_failed` for one that is no text, too long, or without a head. */
function partsOf(content: Buffer): { head: Record<string, unknown>; body: string } {
  if (content.length > MAX_MAIN_BYTES)
    throw refused('/files', `SKILL.md has ${content.length} bytes; at most ${MAX_MAIN_BYTES} are read.`)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content)
  } catch {
    throw refused('/files', 'SKILL.md is not UTF-8.')
  }
  const found = FRONTMATTER.exec(text)
  if (!found) throw refused('/files', 'SKILL.md begins with a head between two lines `---`.')
  let head: unknown
  try {
    head = parse(found[1]!, { maxAliasCount: 0, schema: 'core' })
  } catch (error) {
    throw refused('/files', `The head of SKILL.md cannot be read: ${(error as Error).message.split('\n', 1)[0]}`)
  }
  if (typeof head !== 'object' || head === null || Array.isArray(head))
    throw refused('/files', 'The head of SKILL.md is no list of names and values.')
  return { head: head as Record<string, unknown>, body: text.slice(found[0].length) }
}

/**
 * SKILL.md as an agent gets it: with a head written anew, of what is known to be harmless, so that another reader of
 * YAML cannot find in it what was not found here.
 */
export function safeMain(content: Buffer, name: string): Buffer {
  const { head, body } = partsOf(content)
  const lines = KEPT.flatMap((key) => {
    const value = key === 'name' ? name : head[key]
    return typeof value === 'string' || typeof value === 'boolean' ? [`${key}: ${JSON.stringify(value)}`] : []
  })
  return Buffer.from(`---\n${lines.join('\n')}\n---\n${body}`)
}
