import type { Words } from '../words/en.ts'

/** Why the server asks, as it says so; its sentences are English ones. */
const SENTENCES: readonly [RegExp, (words: Words['reasons'], parts: string[]) => string][] = [
  [/^(\S+) would read (.+), which is outside the workdir\.$/s, ({ outside }, [tool, path]) => outside(tool!, path!)],
  [/^The rule (.+) asks\.$/s, ({ rule }, [name]) => rule(name!)],
  [/^(\S+) may change, run or send something, and no rule allows it\.$/, ({ noRule }, [tool]) => noRule(tool!)],
  [/^The agent asks a question\.$/, ({ question }) => question],
  [/^The client runs this tool\.$/, ({ client }) => client],
]

/** The reason of an approval in the reader's language; one that a later server says otherwise as it stands. */
export function reasonInWords(reason: string, { reasons }: Words): string {
  for (const [sentence, say] of SENTENCES) {
    const match = sentence.exec(reason)
    if (match) return say(reasons, match.slice(1))
  }
  return reason
}
