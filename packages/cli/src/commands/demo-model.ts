import { type ArgsDef, defineCommand } from 'citty'
import { EXIT, Failure } from '../exit.ts'
import { jsonArg, wholeNumber } from '../flags.ts'
import { printJson } from '../json.ts'
import { paintFor } from '../paint.ts'

const args = {
  port: { type: 'string', valueHint: 'n', description: 'Port to listen on; default a free one' },
  ...jsonArg,
} satisfies ArgsDef

export const command = defineCommand({
  args,
  async run({ args: given }) {
    const port = given.port === undefined ? 0 : wholeNumber('--port', given.port, 0, 65_535)
    const { startDemoModel } = await import('@troupe/demo-model/demo-model')
    const model = await startDemoModel({ port }).catch((error: NodeJS.ErrnoException) => {
      throw new Failure(error.code === 'EADDRINUSE' ? `Port ${port} is taken.` : error.message)
    })
    // Before anything is said: who reads it may send the signal at once.
    const ended = signal()
    const env = { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'demo' }
    if (given.json) printJson({ url: model.url, env })
    else {
      const { dim } = paintFor(process.stderr)
      process.stderr.write(dim('The demo model answers until Ctrl+C. Point an agent or a server at it with:\n'))
      process.stdout.write(
        `${Object.entries(env)
          .map(([name, value]) => `export ${name}=${value}\n`)
          .join('')}`,
      )
    }
    await ended
    await model.close()
    return EXIT.done
  },
})

const signal = () =>
  new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
