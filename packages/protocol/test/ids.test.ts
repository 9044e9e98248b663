import { idToUuid, newId, newUuid, parseId, uuidToId } from '@troupe/protocol/ids'
import fc from 'fast-check'
import { expect, test } from 'vitest'

test('a UUID and its native id are two writings of one number', () => {
  expect(uuidToId('sesn', '00000000-0000-0000-0000-000000000000')).toBe(`sesn_${'0'.repeat(26)}`)
  expect(uuidToId('sesn', 'ffffffff-ffff-ffff-ffff-ffffffffffff')).toBe(`sesn_7${'z'.repeat(25)}`)
  // The example of RFC 9562, appendix A.6, by an independent calculation with big integers.
  const uuid = '017f22e2-79b0-7cc3-98c4-dc0c0c07398f'
  let value = BigInt(`0x${uuid.replaceAll('-', '')}`)
  let text = ''
  for (let index = 0; index < 26; index++, value >>= 5n)
    text = '0123456789abcdefghjkmnpqrstvwxyz'[Number(value & 31n)] + text
  expect(uuidToId('sesn', uuid)).toBe(`sesn_${text}`)
  fc.assert(
    fc.property(fc.uuid(), (any) => {
      expect(idToUuid(uuidToId('sesn', any))).toBe(any)
      expect(parseId('sesn', any.toUpperCase())).toBe(uuidToId('sesn', any))
    }),
  )
})

test('new ids are UUIDv7 and grow, also within a millisecond and when the clock steps back', () => {
  const made = Array.from({ length: 10_000 }, (_, index) =>
    newUuid(index < 5_000 ? 1_800_000_000_000 : 1_700_000_000_000),
  )
  expect(made).toEqual([...made].sort())
  expect(new Set(made).size).toBe(made.length)
  for (const uuid of made) expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(made[0]!.startsWith('01a3185c-5000-7')).toBe(true)
  const ids = Array.from({ length: 1_000 }, () => newId('sevt'))
  expect(ids).toEqual([...ids].sort())
})

test('what is neither writing names nothing', () => {
  for (const text of [
    '',
    'sesn_',
    'turn_01m833eeeje00v7vzwnbk3ebw5',
    `sesn_8${'z'.repeat(25)}`,
    'sesn_01M833EEEJE00V7VZWNBK3EBW5',
    '../x',
  ])
    expect(parseId('sesn', text)).toBeNull()
  expect(() => idToUuid('nonsense')).toThrow(TypeError)
})
