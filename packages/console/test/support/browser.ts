import { AxeBuilder } from '@axe-core/playwright'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { expect } from 'vitest'
import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import { type TestServer, testServer } from '../../../server/test/support/server.ts'

const EXECUTABLE = '/usr/bin/chromium'
const ARGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage'

/** Without a browser its tests are skipped; where `CI` is set they fail instead. */
export const mustSkip = !existsSync(EXECUTABLE) && !process.env.CI

/** What the pages look like, kept by the run as files to look at. */
const PICTURES = fileURLToPath(new URL('../../../../artifacts/console', import.meta.url))

/** Keeps a picture of a page. */
export async function picture(page: Page, name: string, fullPage = false): Promise<void> {
  mkdirSync(PICTURES, { recursive: true })
  await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage })
}

/** Keeps a picture of a page that everybody can use: axe finds nothing. */
export async function seen(page: Page, name: string, fullPage = false): Promise<void> {
  await picture(page, name, fullPage)
  expect((await new AxeBuilder({ page }).analyze()).violations, name).toEqual([])
}

export interface Stage {
  server: TestServer
  /** Where the server asks for keys. */
  firstKey: string | null
  /** A page with a memory of its own. Whatever goes wrong in it, and each request to elsewhere, is in `troubles`. */
  open(path: string, options?: BrowserContextOptions): Promise<Page>
  troubles: string[]
  close(): Promise<void>
}

/** A real server with the genuine agent and the demo model, and a real browser before it. */
export async function setStage(flags: Parameters<typeof testServer>[0] = {}): Promise<Stage> {
  const script = fileURLToPath(new URL('../../../../scripts/build-console.mjs', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`The console could not be built:\n${stderr}`)
  const model: DemoModel = await startDemoModel()
  let firstKey: string | null = null
  const server = await testServer(
    { agent_executable: undefined, demo_model: 'on', ...flags },
    { demoModel: model, env: { ANTHROPIC_API_KEY: undefined }, onFirstKey: (secret) => (firstKey = secret) },
  )
  const browser: Browser = await chromium.launch({ executablePath: EXECUTABLE, args: ARGS.split(' ') })
  const troubles: string[] = []
  const contexts: BrowserContext[] = []
  return {
    server,
    firstKey,
    troubles,
    async open(path, options = {}) {
      const context = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 800 }, ...options })
      contexts.push(context)
      context.setDefaultTimeout(60_000)
      const page = await context.newPage()
      page.on('pageerror', (error) => troubles.push(error.message))
      page.on('console', (message) => {
        // A server that is being restarted, and a feature that is not there yet, are not the page's trouble.
        if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) troubles.push(message.text())
      })
      page.on('request', (request) => {
        if (new URL(request.url()).hostname !== new URL(server.url).hostname && !request.url().startsWith('data:'))
          troubles.push(`asked elsewhere: ${request.url()}`)
      })
      await page.goto(server.url + path)
      return page
    },
    async close() {
      for (const context of contexts) await context.close()
      await browser.close()
      await server.stop()
      await model.close()
    },
  }
}
