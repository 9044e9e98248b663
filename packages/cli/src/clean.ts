/**
 * Whole escape sequences first, so that no `[31m` stays behind: CSI, then strings (OSC, DCS, SOS, PM, APC) up to their
 * terminator, then the short ones. Both the 7-bit (ESC) and the 8-bit (C1) spelling.
 */
const SEQUENCES =
  // oxlint-disable-next-line no-control-regex -- control characters are what it is about
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]/g
/** Every control character that is left, except newline and tab. */
// oxlint-disable-next-line no-control-regex -- as above
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g
/** A sequence that has begun at the end of the text and may go on in the next piece. */
const UNFINISHED =
  // oxlint-disable-next-line no-control-regex -- as above
  /(?:\x1b[ -/]*|(?:\x1b\[|\x9b)[0-?]*[ -/]*|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x80-\x9f]*\x1b?)$/
/** More than this is not held back for a sequence's end. */
const MAX_HELD = 4096

/** Text of others for a terminal: nothing in it can move the cursor, change colours, set titles or the clipboard. */
export function clean(text: string): string {
  return text.replace(SEQUENCES, '').replace(CONTROLS, '')
}

/** The same on one line. */
export function cleanLine(text: string): string {
  return clean(text)
    .replace(/\s*\n\s*/g, ' ')
    .replaceAll('\t', ' ')
}

/** Cleans a text that comes in pieces; a sequence that is cut in two is still taken out whole. */
export class Cleaner {
  #held = ''

  /** The clean text of the next piece, as far as it is certain. */
  next(piece: string): string {
    const text = this.#held + piece
    const unfinished = UNFINISHED.exec(text)
    this.#held = unfinished && text.length - unfinished.index <= MAX_HELD ? text.slice(unfinished.index) : ''
    return clean(this.#held === '' ? text : text.slice(0, -this.#held.length))
  }

  /** What was held back, when nothing follows any more. */
  end(): string {
    const rest = clean(this.#held)
    this.#held = ''
    return rest
  }
}
