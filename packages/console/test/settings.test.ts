import { expect, test } from 'vitest'
import { CAPABILITIES } from '../../server/src/capabilities.ts'
import { enCapabilities } from '../src/words/en-capabilities.ts'
import { jaCapabilities } from '../src/words/ja-capabilities.ts'

test('U55 settings say what each capability of the server is, in both languages', () => {
  const ids = CAPABILITIES.map(({ id }) => id).toSorted()
  for (const { capabilityNames } of [enCapabilities, jaCapabilities])
    expect(Object.keys(capabilityNames).toSorted()).toEqual(ids)
  const japanese = Object.values(jaCapabilities.capabilityNames)
  expect(japanese.filter((words) => !/[ぁ-んァ-ヶ一-龠]/.test(words))).toEqual([
    'Idempotency-Key、external_id、client_id',
  ])
})
