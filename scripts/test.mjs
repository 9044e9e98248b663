/**
 * `npm test`: installs, then checks types, lint and format, then runs every test. Ends with one plain line,
 * `N passed, N failed`. A real key is never used: what a developer has set is taken out of the environment.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureInstalled, environment, node, root } from './install.mjs'

ensureInstalled()
const only = process.argv.slice(2)
const env = environment()
for (const name of Object.keys(env))
  if (/^(ANTHROPIC_|CLAUDE_|TROUPE_|AWS_|GOOGLE_|VERTEX_|OTEL_)/.test(name)) delete env[name]

// The Agent SDK's advice about its own options is not news here.
env.NODE_OPTIONS = `${env.NODE_OPTIONS ?? ''} --disable-warning=CLAUDE_SDK_CAN_USE_TOOL_SHADOWED`.trim()

const run = (script, args) =>
  spawnSync(node(), [join(root, 'node_modules', ...script.split('/')), ...args], { cwd: root, stdio: 'inherit', env })
    .status

let failed = 0
const check = (name, script, args) => {
  const status = run(script, args)
  console.log(status === 0 ? `✓ ${name}` : `✗ ${name}`)
  if (status !== 0) failed++
}
if (only.length === 0) {
  check('types', 'typescript/bin/tsc', ['--noEmit'])
  check('types of the console', 'typescript/bin/tsc', ['--noEmit', '-p', 'packages/console'])
  check('lint', 'oxlint/bin/oxlint', ['--deny-warnings'])
  check('format', 'oxfmt/bin/oxfmt', ['--check', '.'])
  const built = spawnSync(node(), [join(root, 'scripts', 'build.mjs')], { cwd: root, stdio: 'inherit', env }).status
  console.log(built === 0 ? '✓ build' : '✗ build')
  if (built !== 0) failed++
}
const folder = mkdtempSync(join(tmpdir(), 'troupe-report-'))
const report = join(folder, 'report.json')
const tests = run('vitest/vitest.mjs', [
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...only,
])
let counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0 }
try {
  counts = JSON.parse(readFileSync(report, 'utf8'))
} catch {
  console.error('The test run left no report.')
}
rmSync(folder, { recursive: true, force: true })
failed += counts.numFailedTests
const skippedTests = (counts.testResults ?? [])
  .flatMap(({ assertionResults }) => assertionResults)
  .filter(({ status }) => status === 'skipped' || status === 'pending')
if (skippedTests.length > 0) {
  console.log('Skipped, because there is no Chromium here (apt-get install -y chromium fonts-noto-cjk):')
  for (const { fullName } of skippedTests) console.log(`- ${fullName}`)
}
// A file that could not be loaded, or a hook that failed, fails no test but fails the run.
if (tests !== 0 && counts.numFailedTests === 0) failed++
const skipped = counts.numPendingTests > 0 ? `, ${counts.numPendingTests} skipped` : ''
console.log(`${counts.numPassedTests} passed, ${failed} failed${skipped}`)
process.exit(failed === 0 ? 0 : 1)
