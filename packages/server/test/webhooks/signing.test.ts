import { HOSTED_NAMES, isWebhookType } from '@troupe/protocol/webhook'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { payloadOf } from '../../src/webhooks/payload.ts'
import { newSecret, signedHeaders } from '../../src/webhooks/sign.ts'
import { Anthropic088, GENERATIONS } from '../support/sdk-clients.ts'

const event = {
  eventId: 'sevt_1',
  type: 'session.status_idle',
  sessionId: 'sesn_1',
  turnId: 'turn_1',
  threadId: null,
  seq: 7,
  occurredAt: Date.UTC(2026, 10, 23),
}
const body = JSON.stringify({ ...payloadOf(event, 'hosted'), note: 'täst 日本 🎭' })

test.each(GENERATIONS)('Z1 unwrap of the official SDK $version verifies what we sign', ({ Client }) => {
  const secret = newSecret()
  const { webhooks } = new Client({ apiKey: 'any', webhookKey: secret }).beta
  const headers = signedHeaders('whd_1', Date.now(), body, [secret])
  expect(webhooks.unwrap(body, { headers })).toEqual({
    id: 'sevt_1',
    type: 'event',
    created_at: '2026-11-23T00:00:00.000Z',
    data: {
      type: 'session.status_idled',
      id: 'sesn_1',
      organization_id: 'org_default',
      workspace_id: 'wrkspc_default',
      session_id: 'sesn_1',
      turn_id: 'turn_1',
      seq: 7,
    },
    note: 'täst 日本 🎭',
  })
})

test.each(GENERATIONS)(
  'Z1 unwrap of $version refuses what was changed, is old, or was signed by another',
  ({ Client }) => {
    const secret = newSecret()
    const { webhooks } = new Client({ apiKey: 'any', webhookKey: secret }).beta
    const signed = signedHeaders('whd_1', Date.now(), body, [secret])
    const wrong: [string, Record<string, string>][] = [
      [body.replace('idled', 'run_started'), signed],
      [body, { ...signed, 'webhook-id': 'whd_2' }],
      [body, signedHeaders('whd_1', Date.now() - 400_000, body, [secret])],
      [body, signedHeaders('whd_1', Date.now(), body, [newSecret()])],
    ]
    for (const [text, headers] of wrong) expect(() => webhooks.unwrap(text, { headers })).toThrow()
  },
)

test.each(GENERATIONS)('Z2 while two secrets are valid, unwrap of $version verifies with either', ({ Client }) => {
  const [old, current] = [newSecret(), newSecret()]
  const headers = signedHeaders('whd_1', Date.now(), body, [current, old])
  for (const webhookKey of [old, current])
    expect(new Client({ apiKey: 'any', webhookKey }).beta.webhooks.unwrap(body, { headers }).id).toBe('sevt_1')
  const { webhooks } = new Client({ apiKey: 'any', webhookKey: newSecret() }).beta
  expect(() => webhooks.unwrap(body, { headers })).toThrow()
})

test('Z6 every hosted name is one that the official SDK knows', () => {
  const types = readFileSync(
    new URL('../../../../node_modules/anthropic-sdk-1.12/resources/beta/webhooks.d.ts', import.meta.url),
    'utf8',
  )
  for (const name of Object.values(HOSTED_NAMES)) expect(types).toContain(`type: '${name}'`)
  for (const name of Object.keys(HOSTED_NAMES)) expect(isWebhookType(name)).toBe(true)
})

test('the oldest SDK has no webhooks to verify', () => {
  expect('webhooks' in new Anthropic088({ apiKey: 'any' }).beta).toBe(false)
})

test('a secret is 32 bytes, base64, and no two are alike', () => {
  const secrets = Array.from({ length: 50 }, newSecret)
  for (const secret of secrets) expect(secret).toMatch(/^whsec_[\w+/]{43}=$/)
  expect(new Set(secrets).size).toBe(50)
})
