export interface Paint {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
  yellow(text: string): string
  cyan(text: string): string
}

/** Colours only for a terminal, and not where NO_COLOR (no-color.org) is set. */
export function hasColour(stream: { isTTY?: boolean }): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
}

export function paintFor(stream: { isTTY?: boolean }): Paint {
  const code = (open: number, close: number) =>
    hasColour(stream) ? (text: string) => `\x1b[${open}m${text}\x1b[${close}m` : (text: string) => text
  return {
    bold: code(1, 22),
    dim: code(2, 22),
    red: code(31, 39),
    green: code(32, 39),
    yellow: code(33, 39),
    cyan: code(36, 39),
  }
}
