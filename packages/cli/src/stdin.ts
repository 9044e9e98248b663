import { fstatSync } from 'node:fs'
import { text } from 'node:stream/consumers'

/** Time without anything on stdin after which a person is told what is being waited for, in ms. */
const HINT_AFTER_MS = 2_000

/**
 * What was piped into the command, or null. With `optional`, only a pipe or a file is read: other programs start
 * commands with a stdin that is open and never ends.
 */
export async function pipedText(optional: boolean): Promise<string | null> {
  const { stdin } = process
  if (stdin.isTTY) return null
  if (optional && !isPipeOrFile()) return null
  const hint = setTimeout(
    () => process.stderr.write('Reading the prompt from stdin until it ends; </dev/null says that there is none.\n'),
    HINT_AFTER_MS,
  )
  stdin.once('data', () => clearTimeout(hint))
  try {
    return await text(stdin)
  } finally {
    clearTimeout(hint)
  }
}

function isPipeOrFile(): boolean {
  try {
    const stats = fstatSync(0)
    return stats.isFIFO() || stats.isFile()
  } catch {
    return false
  }
}

/** The words of the command line, and after them what was piped in. */
export async function promptOf(words: string[]): Promise<string> {
  const said = words.join(' ').trim()
  const piped = (await pipedText(said !== ''))?.trim() ?? ''
  return [said, piped].filter((part) => part !== '').join('\n\n')
}
