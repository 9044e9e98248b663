import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runCli, tempFolder } from './support/cli.ts'

/** A secret in every place of a configuration where one may stand. */
const CANARY = 'canary-7f3a'
const ENV = {
  ANTHROPIC_API_KEY: `sk-ant-${CANARY}`,
  ANTHROPIC_AUTH_TOKEN: CANARY,
  ANTHROPIC_BASE_URL: `https://user:${CANARY}@models.example/v1?key=${CANARY}#${CANARY}`,
  ANTHROPIC_CUSTOM_HEADERS: `x-secret: ${CANARY}`,
  CLAUDE_CODE_OAUTH_TOKEN: CANARY,
  AWS_SECRET_ACCESS_KEY: CANARY,
  AWS_BEARER_TOKEN_BEDROCK: CANARY,
  HTTPS_PROXY: `http://${CANARY}:p%40ss/${CANARY}@proxy.example:3128`,
  CLAUDE_CODE_CLIENT_KEY_PASSPHRASE: CANARY,
  TROUPE_CORS_ORIGINS: `https://me:${CANARY}@page.example`,
  TROUPE_API_KEY: CANARY,
  AWS_REGION: 'eu-central-1',
  DATABASE_PASSWORD: CANARY,
}

test('PK1 config print shows every setting as it holds, and with --redact nothing that may be a secret', async () => {
  using folder = tempFolder()
  const cwd = folder.path
  writeFileSync(join(cwd, '.env'), `ANTHROPIC_VERTEX_TOKEN=${CANARY}\nTROUPE_PORT=8123\n`)
  const print = (...more: string[]) => runCli(['config', 'print', ...more], { env: ENV, cwd })
  const [plain, hidden, json] = await Promise.all([
    print(),
    print('--redact', '--max-running', '3'),
    print('--redact', '--json'),
  ])
  // Or the canaries would be missed for another reason.
  expect(plain.stdout.split(CANARY).length - 1).toBeGreaterThan(10)
  expect(plain.stdout).not.toContain('DATABASE_PASSWORD')
  for (const { code, stdout, stderr } of [hidden, json]) {
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).not.toContain(CANARY)
  }
  expect(hidden.stdout).toMatch(/^max_running +3$/m)
  expect(hidden.stdout).toMatch(/^ANTHROPIC_API_KEY +\[hidden\]$/m)
  expect(JSON.parse(json.stdout)).toMatchObject({
    settings: { port: 8123, cors_origins: ['https://[hidden]@page.example'] },
    environment: {
      ANTHROPIC_BASE_URL: 'https://[hidden]@models.example/v1?[hidden]',
      ANTHROPIC_VERTEX_TOKEN: '[hidden]',
      AWS_REGION: 'eu-central-1',
    },
  })
})

test('PK1 a configuration that is not valid is said as by serve, and there is nothing but print', async () => {
  const [invalid, other] = await Promise.all([
    runCli(['config', 'print'], { env: { TROUPE_PORT: 'many' } }),
    runCli(['config', 'write']),
  ])
  expect([invalid.code, invalid.stdout]).toEqual([2, ''])
  expect(invalid.stderr).toContain('TROUPE_PORT')
  expect([other.code, other.stdout]).toEqual([2, ''])
})
