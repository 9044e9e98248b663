/** Calls for each line of standard input, and at its end. `node:readline` would end lines at U+2028 too, within JSON. */
export async function readLines(take, ended) {
  let rest = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()
    for (const line of lines) take(line)
  }
  ended()
}

/** Writes a message as the genuine agent does: the SDK reads with `node:readline`. */
export const write = (message) =>
  process.stdout.write(
    `${JSON.stringify(message).replace(/[\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16)}`)}\n`,
  )
