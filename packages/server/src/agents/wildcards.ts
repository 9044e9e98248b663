/** Characters of a text that a pattern is held against; what is longer is not looked at. */
export const MAX_TEXT = 8_192

/** A piece of a pattern: one character, any one of a name, any number within a name, or any number. */
type Piece = { char: string } | 'one' | 'name' | 'any'

/**
 * Whether a text fits a pattern. `?` is one character of a name, `*` any number of them, or of any characters where
 * `starCrosses`; `**` any number of any, `**` and a slash any number of folders. Takes time in proportion to the
 * pattern times the text, whatever they are: patterns come from callers, and a regular expression could run for years.
 */
export function fits(pattern: string, text: string, starCrosses: boolean): boolean {
  const pieces = piecesOf(pattern, starCrosses)
  // Which beginnings of the text the pieces so far can stand for.
  let reached = new Uint8Array(text.length + 1)
  reached[0] = 1
  for (const { piece, optionalSlash } of pieces) {
    const next = new Uint8Array(text.length + 1)
    let open = false
    for (let at = 0; at <= text.length; at++) {
      if (piece === 'any' || piece === 'name') {
        // A folder's end, or nothing at all.
        if (optionalSlash && reached[at]) next[at] = 1
        open = (open && (piece === 'any' || text[at - 1] !== '/')) || reached[at] === 1
        if (open && (!optionalSlash || (at > 0 && text[at - 1] === '/'))) next[at] = 1
      } else if (at > 0 && reached[at - 1]) {
        const char = text[at - 1]!
        if (piece === 'one' ? char !== '/' : char === piece.char) next[at] = 1
      }
    }
    reached = next
  }
  return reached[text.length] === 1
}

function piecesOf(pattern: string, starCrosses: boolean): { piece: Piece; optionalSlash: boolean }[] {
  const pieces: { piece: Piece; optionalSlash: boolean }[] = []
  for (const token of pattern.match(/\*\*+\/?|[\s\S]/g) ?? []) {
    if (token.startsWith('**')) pieces.push({ piece: 'any', optionalSlash: token.endsWith('/') })
    else if (token === '*') pieces.push({ piece: starCrosses ? 'any' : 'name', optionalSlash: false })
    else pieces.push({ piece: token === '?' ? 'one' : { char: token }, optionalSlash: false })
  }
  return pieces
}
