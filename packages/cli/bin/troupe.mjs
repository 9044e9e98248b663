#!/usr/bin/env node
// Plain JavaScript that an old Node can parse, so that it can say what is missing.
import { existsSync, readdirSync, statSync } from 'node:fs'
import module from 'node:module'
import process from 'node:process'

const bundle = new URL('../dist/troupe.mjs', import.meta.url)
const source = new URL('../src/main.ts', import.meta.url)
const packages = new URL('../../', import.meta.url)
const [major, minor] = process.versions.node.split('.').map(Number)
const isOld = major < 22 || (major === 22 && minor < 12)
const stripsTypes = Boolean(process.features.typescript)

if (isOld) {
  fail(`Troupe needs Node 22.12 or newer; this is ${process.versions.node} (${process.execPath}).
In a checkout of the repository, "npx troupe" uses the Node that "npm install" has brought.`)
} else if (existsSync(bundle) && !(stripsTypes && isStale())) {
  await start(bundle)
} else if (stripsTypes) {
  await start(source)
} else {
  fail(`This checkout of Troupe runs from source, which needs Node 24 (or 22.18); this is ${process.versions.node}.
"npx troupe" uses the Node that "npm install" has brought; "npm run build" makes a bundle for Node 22.12.`)
}

/** Whether this is a checkout in which a source is newer than the bundle. Takes about 3 ms. */
function isStale() {
  if (!existsSync(source)) return false
  const builtAt = statSync(bundle).mtimeMs
  return readdirSync(packages).some((name) => {
    const folder = new URL(`${name}/src/`, packages)
    if (!existsSync(folder)) return false
    return readdirSync(folder, { recursive: true }).some((file) => statSync(new URL(file, folder)).mtimeMs > builtAt)
  })
}

async function start(entry) {
  // Compiled code is kept for the next start: from source, "--help" takes half the time.
  module.enableCompileCache?.()
  const { main } = await import(entry.href)
  process.exitCode = await main(process.argv.slice(2))
}

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exitCode = 1
}
