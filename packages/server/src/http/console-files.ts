import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where the console's build is: beside the bundle that is published, or in its own package among the sources. */
const PLACES = ['./console', '../../../console/dist'].map((path) => fileURLToPath(new URL(path, import.meta.url)))

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export interface ConsoleFile {
  body: Buffer
  type: string
  etag: string
  /** Its name carries a hash of its content, so it never changes. */
  immutable: boolean
}

/** The console's files by path, such as `/assets/index-1a2b.js`. Empty when it was not built. They are small: all in memory. */
export function readConsoleFiles(places: readonly string[] = PLACES): ReadonlyMap<string, ConsoleFile> {
  const folder = places.find((place) => existsSync(join(place, 'index.html')))
  const files = new Map<string, ConsoleFile>()
  if (folder === undefined) return files
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const type = TYPES[extname(name)]
    if (type === undefined) continue
    const body = readFileSync(join(folder, name))
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
    const path = `/${name.replaceAll('\\', '/')}`
    files.set(path, { body, type, etag, immutable: path.startsWith('/assets/') })
  }
  return files
}
