/**
 * Writes one line of JSON. Control characters and ends of lines that JSON lets through are escaped: the line may go to a
 * terminal, or to a reader that splits where Unicode ends a line.
 */
export function printJson(value: unknown): void {
  process.stdout.write(`${jsonLine(value)}\n`)
}

export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
