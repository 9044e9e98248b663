import { writeSync } from 'node:fs'
import { type App, startApp, version } from './app.ts'
import type { Config } from './config.ts'
import type { Logger } from './lib/logger.ts'
import { isLoopback } from './lib/loopback.ts'
import { serverLogger } from './lib/server-logger.ts'

/**
 * Runs a server until SIGTERM or SIGINT, then drains it; a second signal ends it at once. Resolves with the exit code.
 * Throws what keeps it from starting.
 */
export async function serve(config: Config): Promise<number> {
  const tty = process.stdout.isTTY
  const logger = serverLogger(config.log_level, tty ? 'words' : 'lines')
  logWarnings(logger)
  const app = await startApp(config, { logger, onFirstKey: (secret) => writeSync(1, firstKey(secret, tty)) })
  const { promise, resolve } = Promise.withResolvers<number>()
  let signals = 0
  const onSignal = (signal: NodeJS.Signals) => {
    signals++
    // The agents go with us: the kernel or their watchdogs see to it.
    if (signals > 1) process.exit(signal === 'SIGINT' ? 130 : 143)
    if (tty)
      process.stdout.write(
        `\n  Ending: running turns have ${config.drain_seconds} s. Press Ctrl+C again to end at once.\n`,
      )
    logger.info({ signal }, 'draining')
    app.stop().then(
      () => resolve(0),
      (err: unknown) => {
        logger.error({ err }, 'the server did not stop cleanly')
        resolve(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  // Only now: who reads the line may end us at once, and must meet a server that drains.
  process.stdout.write(tty ? banner(app) : `${JSON.stringify(startLine(app))}\n`)
  return promise
}

/** Written at once, because nothing keeps it: what is not read here is lost. */
const firstKey = (secret: string, tty: boolean): string =>
  tty
    ? `\n  \x1b[33mThe first key, with every right. It is shown this once:\x1b[0m\n\n  ${secret}\n`
    : `${JSON.stringify({ level: 30, time: Date.now(), msg: 'first key, shown this once', key: secret })}\n`

/** Node's warnings are log lines here. The Agent SDK's advice about its own options is not the operator's business. */
function logWarnings(logger: Logger): void {
  process.removeAllListeners('warning')
  process.on('warning', (warning: Error & { code?: string }) => {
    if (warning.code !== 'CLAUDE_SDK_CAN_USE_TOOL_SHADOWED') logger.warn({ err: warning }, 'warning')
  })
}

const startLine = (app: App) => ({
  level: 30,
  time: Date.now(),
  msg: 'serving',
  url: app.url,
  version,
  model: app.model.note,
  containment: app.containment.name,
  data: app.config.data_dir,
})

/** What a person sees who starts the server in a terminal. */
export function banner(app: App): string {
  const { config, model } = app
  const lines = [
    '',
    `  \x1b[1mTroupe\x1b[0m ${version}   the Claude Agent SDK, as a server`,
    '',
    `  API      ${app.url}        docs at ${app.url}/docs`,
    `  Data     ${config.data_dir}`,
    `  Agents   ${config.max_running} at once; ${app.containment.note}`,
    model.source === 'demo' ? `  \x1b[33mModel    ${model.note}\x1b[0m` : `  Model    ${model.note}`,
  ]
  lines.push(`  Keys     ${app.keysNeeded ? 'every caller needs one' : 'nobody on this machine needs one'}`)
  for (const origin of config.cors_origins)
    lines.push(
      `  \x1b[31mCORS     ${origin === '*' ? 'pages of EVERY web site' : origin === 'null' ? 'local files and sandboxed pages ("null")' : origin} may drive this server and run code here\x1b[0m`,
    )
  if (config.webhook_allow_private)
    lines.push(`  \x1b[31mWebhooks may be sent to private addresses: callers can reach what this machine can\x1b[0m`)
  if (!isLoopback(config.host)) lines.push(`  \x1b[31mHost     ${config.host} is reachable from other machines\x1b[0m`)
  lines.push(
    '',
    `  Try      curl -X POST ${app.url}/execute/ -H 'content-type: application/json' -d '{"prompt": "Please introduce yourself."}'`,
    '',
    '',
  )
  return lines.join('\n')
}
