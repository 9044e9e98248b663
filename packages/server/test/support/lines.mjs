/** Calls for each line of standard input, and at its end. `node:readline` would end lines at U+2028 too, within JSON. */
export function readLines(take, ended) {
  let rest = ''
  process.stdin.setEncoding('utf8')
  process.stdin.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()
    for (const line of lines) take(line)
  })
  process.stdin.once('end', ended)
}

/** Writes a message as the genuine agent does: the SDK reads with `node:readline`. */
export const write = (message) =>
  process.stdout.write(
    `${JSON.stringify(message).replace(/[\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16)}`)}\n`,
  )
