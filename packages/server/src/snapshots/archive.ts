import { spawn } from 'node:child_process'
import { PassThrough, type Readable } from 'node:stream'
import { NoSnapshot } from './limits.ts'

export type ArchiveFormat = 'tar' | 'tar.gz'

/**
 * A folder as an archive, packed while it is read: nothing of it is kept in memory or on disk. Links are links in it;
 * what they lead to is not. The stream breaks off where packing fails, so that half an archive never looks whole.
 */
export function archiveFolder(folder: string, format: ArchiveFormat, searchPath: string | undefined): Readable {
  const words = ['--create', ...(format === 'tar.gz' ? ['--gzip'] : []), '--file=-', `--directory=${folder}`, '--', '.']
  const child = spawn('tar', words, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: searchPath, LC_ALL: 'C' } })
  const stream = new PassThrough()
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 2_000) said += text
  })
  child.stdout.pipe(stream, { end: false })
  child.once('error', (error) => stream.destroy(new NoSnapshot('failed', 'tar could not be started.', error)))
  // 1: a file changed while it was read, as files of a working agent do.
  child.once('close', (code) => {
    if (code === 0 || code === 1) stream.end()
    else stream.destroy(new NoSnapshot('failed', `tar: ${said.trim()}`))
  })
  stream.once('close', () => child.kill('SIGKILL'))
  return stream
}
