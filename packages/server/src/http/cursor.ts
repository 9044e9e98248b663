import { ApiError } from '@troupe/protocol/error'
import { createHmac, timingSafeEqual } from 'node:crypto'

/** Where a page begins. */
export interface PagePosition {
  /** Sort value and id of the row beside which the page begins; for events and turns only `at` (the number). */
  at: number
  id: string
  backward: boolean
}

/**
 * Page cursors: opaque, signed, and good only for the list and filters they were made for, for as long as the data
 * folder keeps its key.
 */
export class Cursors {
  readonly #key: Buffer

  constructor(key: Buffer) {
    this.#key = key
  }

  encode(position: PagePosition, filter: unknown): string {
    const payload = Buffer.from(JSON.stringify([position.at, position.id, position.backward ? 1 : 0])).toString(
      'base64url',
    )
    return `${payload}.${this.#sign(payload, filter)}`
  }

  /** Throws `invalid_cursor`. */
  decode(text: string | undefined, filter: unknown): PagePosition | null {
    if (text === undefined) return null
    const [payload = '', signature = ''] = text.split('.')
    const expected = Buffer.from(this.#sign(payload, filter))
    const given = Buffer.from(signature)
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      throw new ApiError(
        'invalid_cursor',
        'page is not a cursor of this list with these filters; begin again without page.',
      )
    const [at, id, backward] = JSON.parse(Buffer.from(payload, 'base64url').toString()) as [number, string, number]
    return { at, id, backward: backward === 1 }
  }

  #sign(payload: string, filter: unknown): string {
    return createHmac('sha256', this.#key)
      .update(`${payload}\n${JSON.stringify(filter)}`)
      .digest('base64url')
      .slice(0, 22)
  }
}
