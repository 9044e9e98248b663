/**
 * One 128-bit UUIDv7 per thing, in two renderings: native (`sesn_` and 26 characters of Crockford base32, lower case)
 * and, for sessions, the bare UUID that the origin API shows and the Agent SDK gets as its session id.
 */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const NATIVE = /^([a-z]+)_([0-7][0-9a-hjkmnp-tv-z]{25})$/

export type IdPrefix = 'agent' | 'env' | 'sesn' | 'turn' | 'sevt' | 'sthr' | 'req' | 'node'

let lastMs = 0
let lastCounter = 0

/**
 * A new UUIDv7 (RFC 9562 §5.7), growing within this process: ids made in the same millisecond are ordered by a 12-bit
 * counter (method 1 of §6.2), and a clock that steps back does not make a smaller id.
 */
export function newUuid(now: number = Date.now()): string {
  if (now > lastMs) {
    lastMs = now
    lastCounter = 0
  } else if (++lastCounter > 0xfff) {
    lastMs++
    lastCounter = 0
  }
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, Math.floor(lastMs / 2 ** 32))
  view.setUint32(2, lastMs % 2 ** 32)
  view.setUint16(6, 0x7000 | lastCounter)
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80)
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** A new native id, ordered by time of making within one prefix. */
export function newId(prefix: IdPrefix): string {
  return uuidToId(prefix, newUuid())
}

/** Renders a UUID as a native id. */
export function uuidToId(prefix: IdPrefix, uuid: string): string {
  let value = BigInt(`0x${uuid.replaceAll('-', '')}`)
  let text = ''
  for (let i = 0; i < 26; i++) {
    text = ALPHABET[Number(value & 31n)] + text
    value >>= 5n
  }
  return `${prefix}_${text}`
}

/** Renders a native id as a UUID. Throws `TypeError` for what is not a native id. */
export function idToUuid(id: string): string {
  const match = NATIVE.exec(id)
  if (!match) throw new TypeError(`not a native id: ${id}`)
  let value = 0n
  for (const char of match[2]!) value = (value << 5n) | BigInt(ALPHABET.indexOf(char))
  const hex = value.toString(16).padStart(32, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The native id behind either rendering, or `null` when the text is neither: such an id names nothing. */
export function parseId(prefix: IdPrefix, text: string): string | null {
  if (UUID.test(text)) return uuidToId(prefix, text.toLowerCase())
  return NATIVE.exec(text)?.[1] === prefix ? text : null
}
