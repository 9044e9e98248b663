import type { Random } from '../chaos/random.ts'

/** What an effect leaves in the workdir, a line each time it is had. */
export const EFFECTS = 'effects.txt'

const play = (nonce: string, steps: object[]) => `Job .${nonce}\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``

const bash = (command: string) => ({ tools: [{ name: 'Bash', input: { command } }] })

/** The number stands behind a point in every prompt, and alone in the command that has an effect. */
export function promptFor(chance: Random, nonce: string): string {
  const effect = bash(`echo ${nonce} >> ${EFFECTS}`)
  const end = { say: `done ${nonce}` }
  const part = chance.int(1, 100)
  if (part <= 15) return play(nonce, [end])
  if (part <= 45) return play(nonce, [effect, end])
  if (part <= 55) return play(nonce, [bash('ls'), bash('pwd'), effect, end])
  if (part <= 65) return play(nonce, [effect, bash('ls'), bash('pwd'), { ...end, delay_ms: 300 }])
  if (part <= 75) return play(nonce, [bash(`sleep 0.4; echo ${nonce} >> ${EFFECTS}; sleep 0.4`), end])
  if (part <= 83)
    return play(nonce, [{ say: 'one two three four five six seven eight nine', stream: { chunk_ms: 120 } }])
  if (part <= 88) return play(nonce, [{ hang: 'mid', say: 'this never comes to its end' }])
  if (part <= 94) return `Start a subagent, please .${nonce}`
  return `Ask me a question, please .${nonce}`
}
