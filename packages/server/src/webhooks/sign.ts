import { createHmac, randomBytes } from 'node:crypto'

/** A new signing secret of 32 random bytes, as Standard Webhooks writes it. */
export const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`

/** The headers that Standard Webhooks asks for: one signature for each secret that is valid. `at` in ms. */
export function signedHeaders(id: string, at: number, body: string, secrets: string[]): Record<string, string> {
  const timestamp = String(Math.floor(at / 1000))
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
  })
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}
