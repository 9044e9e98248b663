import { isLoopback } from '../lib/loopback.ts'
import type { AccessContext } from './context.ts'
import { makeFirstKey } from './keys.ts'

/** A server that others could reach was to be started without keys. */
export class NoKeys extends Error {
  override readonly name = 'NoKeys'
}

/**
 * Whether callers need a key: `auto` says yes as soon as there is one. With `on` a server without a key makes the first
 * one and hands its secret to `tell`. Throws `NoKeys` for `auto` beyond loopback without a key.
 */
export async function needsKeys(
  { keys, clock }: Pick<AccessContext, 'keys' | 'clock'>,
  { auth, host }: { auth: 'auto' | 'on' | 'off'; host: string },
  tell: (secret: string) => void,
): Promise<boolean> {
  if (auth === 'off') return false
  if (auth === 'on') {
    await makeFirstKey({ keys, clock, required: true }, tell)
    return true
  }
  if (await keys.hasKey(clock.now())) return true
  if (isLoopback(host)) return false
  throw new NoKeys(
    `${JSON.stringify(host)} is not a loopback address, and there is no key yet: an open agent server runs anyone's code. Start with TROUPE_AUTH=on (or --auth on); the first start prints an operator's key.`,
  )
}
