const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** Columns that a terminal takes for a text; near enough for tables. */
export function columns(text: string): number {
  let sum = 0
  for (const { segment } of graphemes.segment(text)) sum += WIDE.test(segment) ? 2 : 1
  return sum
}

/** A text in at most `width` columns, cut with an ellipsis. */
export function shorten(text: string, width: number): string {
  if (text.length <= width / 2 || columns(text) <= width) return text
  let short = ''
  let room = Math.max(1, width) - 1
  for (const { segment } of graphemes.segment(text)) {
    room -= WIDE.test(segment) ? 2 : 1
    if (room < 0) break
    short += segment
  }
  return `${short}…`
}

export interface Cell {
  text: string
  /** Colours the padded text. */
  paint?: (text: string) => string
  align?: 'right'
}

/** Lines of a table whose columns are as wide as their widest cell. */
export function table(rows: Cell[][]): string[] {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => columns(row[index]?.text ?? ''))))
  return rows.map((row) =>
    row
      .map(({ text, paint = (plain) => plain, align }, index) => {
        const gap = ' '.repeat(widths[index]! - columns(text))
        if (align === 'right') return gap + paint(text)
        return index === row.length - 1 ? paint(text) : paint(text) + gap
      })
      .join('  '),
  )
}
