/**
 * One 128-bit UUIDv7 per thing, in two renderings: native (`sesn_` and 26 characters of Crockford base32, lower case)
 * and, for sessions, the bare UUID that the origin API shows and the Agent SDK gets as its session id.
 */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const NATIVE = /^([a-z]+)_([0-7][0-9a-hjkmnp-tv-z]{25})$/

export type IdPrefix =
  | 'agent'
  | 'env'
  | 'file'
  | 'sesn'
  | 'turn'
  | 'sevt'
  | 'sthr'
  | 'grant'
  | 'req'
  | 'node'
  | 'whk'
  | 'whd'
  | 'apikey'
  | 'wrkspc'
  | 'token'
  | 'depl'
  | 'drun'
  | 'audevt'
  | 'skill'
  | 'skver'
  | 'sesrsc'

let lastMs = 0
let lastCounter = 0

/** Randomness is fetched for many ids at a time: a call costs more than the bytes. */
const pool = new Uint8Array(16 * 256)
let poolUsed = pool.length

/**
 * A new UUIDv7 (RFC 9562 §5.7), growing within this process: ids made in the same millisecond are ordered by a 12-bit
 * counter (method 1 of §6.2), and a clock that steps back does not make a smaller id.
 */
export function newUuid(now: number = Date.now()): string {
  return formatUuid(newBytes(now))
}

/** A new native id, ordered by time of making within one prefix. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${base32(newBytes(Date.now()))}`
}

function newBytes(now: number): Uint8Array {
  if (now > lastMs) {
    lastMs = now
    lastCounter = 0
  } else if (++lastCounter > 0xfff) {
    lastMs++
    lastCounter = 0
  }
  if (poolUsed === pool.length) {
    crypto.getRandomValues(pool)
    poolUsed = 0
  }
  const bytes = pool.slice(poolUsed, (poolUsed += 16))
  const high = Math.floor(lastMs / 2 ** 32)
  bytes[0] = high >>> 8
  bytes[1] = high
  bytes[2] = lastMs >>> 24
  bytes[3] = lastMs >>> 16
  bytes[4] = lastMs >>> 8
  bytes[5] = lastMs
  bytes[6] = 0x70 | (lastCounter >>> 8)
  bytes[7] = lastCounter
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes
}

/** 26 characters: two leading zero bits, then the 128 of the number. */
function base32(bytes: Uint8Array): string {
  let text = ''
  let held = 0
  let bits = 2
  for (const byte of bytes) {
    held = (held << 8) | byte
    for (bits += 8; bits >= 5;) {
      bits -= 5
      text += ALPHABET[(held >>> bits) & 31]
    }
    held &= (1 << bits) - 1
  }
  return text
}

function formatUuid(bytes: Uint8Array): string {
  let hex = ''
  for (const byte of bytes) hex += HEX[byte]
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Renders a UUID as a native id. */
export function uuidToId(prefix: IdPrefix, uuid: string): string {
  const hex = uuid.replaceAll('-', '')
  return `${prefix}_${base32(Uint8Array.from({ length: 16 }, (_, index) => Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16)))}`
}

/** Renders a native id as a UUID. Throws `TypeError` for what is not a native id. */
export function idToUuid(id: string): string {
  const match = NATIVE.exec(id)
  if (!match) throw new TypeError(`not a native id: ${id}`)
  const bytes = new Uint8Array(16)
  let held = 0
  let bits = -2
  let at = 0
  for (const char of match[2]!) {
    held = ((held << 5) | ALPHABET.indexOf(char)) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = (held >>> bits) & 0xff
    }
  }
  return formatUuid(bytes)
}

/** The native id behind either rendering, or `null` when the text is neither: such an id names nothing. */
export function parseId(prefix: IdPrefix, text: string): string | null {
  if (UUID.test(text)) return uuidToId(prefix, text.toLowerCase())
  return NATIVE.exec(text)?.[1] === prefix ? text : null
}
