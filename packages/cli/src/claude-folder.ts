import { readdir, readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** A file that was written this lately may still be written to, in ms. */
const LIVELY_MS = 5_000

/** Where Claude Code keeps the transcripts of this user. */
export const claudeProjects = (env: NodeJS.ProcessEnv): string =>
  join(env.CLAUDE_CONFIG_DIR || join(homedir(), '.claude'), 'projects')

/** Where Claude Code looks for a conversation that belongs to a folder. */
export const transcriptPath = (projects: string, cwd: string, uuid: string): string =>
  join(projects, cwd.replaceAll(/[^a-zA-Z0-9]/g, '-'), `${uuid}.jsonl`)

/** The file of a conversation, in whichever folder; null when there is none. */
export async function findTranscript(projects: string, uuid: string): Promise<string | null> {
  for (const name of await readdir(projects).catch(() => [])) {
    const file = join(projects, name, `${uuid}.jsonl`)
    if (await stat(file).catch(() => null)) return file
  }
  return null
}

/** A transcript, and whether somebody seems to be writing to it. */
export async function readTranscript(file: string): Promise<{ text: string; lively: boolean }> {
  const before = await stat(file)
  const text = await readFile(file, 'utf8')
  const after = await stat(file)
  const changed = before.size !== after.size || before.mtimeMs !== after.mtimeMs
  return { text, lively: changed || Date.now() - after.mtimeMs < LIVELY_MS }
}

/** Ids of the entries of a transcript. */
export function entryIds(text: string): Set<string> {
  const ids = new Set<string>()
  for (const line of text.split('\n'))
    try {
      const { uuid } = JSON.parse(line) as { uuid?: unknown }
      if (typeof uuid === 'string') ids.add(uuid)
    } catch {
      // An empty line, or one that is just being written.
    }
  return ids
}
