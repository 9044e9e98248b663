import { Writable } from 'node:stream'
import { type DestinationStream, type Logger as Pino, pino } from 'pino'
import pretty from 'pino-pretty'

/**
 * Characters that a terminal obeys or that turn the order of what is read, and that JSON leaves as they are: delete and
 * the second set of control characters, ends of lines that are none to us, and marks of direction.
 */
const OBEYED = /[\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g
const written = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
const plain = (text: string): string => text.replace(OBEYED, written)

/**
 * What the server tells, a line of JSON for machines, or colours and words for people. Nothing of what callers and agents
 * say is obeyed by a terminal, and nothing of it begins a line of a machine. `out`: standard output, written at once.
 */
export function serverLogger(
  level: string,
  shown: 'lines' | 'words',
  out: DestinationStream = pino.destination(1),
): Pino {
  if (shown === 'lines' || level === 'silent') return pino({ level, hooks: { streamWrite: plain } }, out)
  const destination = new Writable({
    decodeStrings: false,
    write(text: string | Buffer, _encoding, done) {
      out.write(plain(text.toString()))
      done()
    },
  })
  return pino(
    { level },
    pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss', sync: true, destination, colorize: true }),
  )
}
