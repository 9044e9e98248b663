import { chmodSync, lstatSync, mkdtempSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

/** The link in the data folder that says where sessions have their temporary files. */
const LINK = 'temporary'
const PASSABLE = 0o711

/** Where the temporary files of sessions lie; null where none have any. */
export function temporaryRoot(dataDir: string): string | null {
  try {
    const folder = readlinkSync(join(dataDir, LINK))
    const found = lstatSync(folder)
    // What others made under that name since it was swept away is not ours.
    return found.isDirectory() && (process.getuid === undefined || found.uid === process.getuid()) ? folder : null
  } catch {
    return null
  }
}

/**
 * The same, made where it is not there (any more: systems sweep their folders for temporary files). It lies there and not
 * in the data folder because sockets are made in it, and the path of a socket has at most 107 bytes. `passable`:
 * users of agents reach what is theirs in it.
 */
export function makeTemporaryRoot(dataDir: string, serverTmp: string, passable = false): string {
  const known = temporaryRoot(dataDir)
  if (known !== null) {
    if (passable) chmodSync(known, PASSABLE)
    return known
  }
  const folder = mkdtempSync(join(serverTmp, 'troupe-'))
  if (passable) chmodSync(folder, PASSABLE)
  const fresh = join(dataDir, `${LINK}.new`)
  rmSync(fresh, { force: true })
  symlinkSync(folder, fresh)
  renameSync(fresh, join(dataDir, LINK))
  return folder
}
