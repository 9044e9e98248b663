import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

/** The key in a file, made at the first start: cursors outlive restarts. A file that is not whole is made anew. */
export function keyOf(file: string): Buffer {
  const known = existsSync(file) ? readFileSync(file) : null
  if (known?.length === 32) return known
  const key = randomBytes(32)
  writeFileSync(file, key, { mode: 0o600 })
  return key
}
