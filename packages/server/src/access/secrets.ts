import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** What secrets of each kind begin with: so that a scanner, and a person, can tell what was lost. */
export const SECRET_KINDS = { key: 'sk_troupe_', session: 'est_', login: 'elt_' } as const
export type SecretKind = keyof typeof SECRET_KINDS

/** Characters of a secret that are shown: the kind, and enough to tell keys apart. */
const SHOWN = 16

/** A new secret: 256 random bits, so a plain hash of it cannot be tried out. */
export function newSecret(kind: SecretKind): { secret: string; prefix: string; hash: string } {
  const secret = SECRET_KINDS[kind] + randomBytes(32).toString('base64url')
  return { secret, prefix: secret.slice(0, SHOWN), hash: hashOf(secret) }
}

export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')

/** Whether two hashes are the same, in a time that says nothing of where they differ. */
export const sameHash = (a: string, b: string | null): boolean =>
  b !== null && a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))

export const kindOf = (secret: string): SecretKind | null =>
  (Object.keys(SECRET_KINDS) as SecretKind[]).find((kind) => secret.startsWith(SECRET_KINDS[kind])) ?? null
