import { ApiError } from '@troupe/protocol/error'
import { spawn } from 'node:child_process'
import { PassThrough, type Readable } from 'node:stream'
import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs'
import type { AgentUser } from '../lib/agent-user.ts'
import { NoSnapshot } from './limits.ts'

export type ArchiveFormat = 'tar' | 'tar.gz'

/**
 * A folder as an archive, packed while it is read: nothing of it is kept in memory or on disk. Links are links in it;
 * what they lead to is not. The stream breaks off where packing fails, so that half an archive never looks whole.
 */
export function archiveFolder(
  folder: string,
  format: ArchiveFormat,
  searchPath: string | undefined,
  user: AgentUser | null = null,
): Readable {
  const from = user ? [] : [`--directory=${folder}`]
  const words = ['--create', ...(format === 'tar.gz' ? ['--gzip'] : []), '--file=-', ...from, '--', '.']
  const options = {
    stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'],
    env: { PATH: searchPath, LC_ALL: 'C' },
  }
  const child = user
    ? inFolder(folder, user, (as) => spawn('tar', words, { ...options, ...as }))
    : spawn('tar', words, options)
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

/** Starts a program as the agents' user in a folder that is there itself, reached by no link. */
function inFolder<T>(folder: string, user: AgentUser, start: (as: { cwd: string; uid: number; gid: number }) => T): T {
  const moved = (cause?: unknown) =>
    new ApiError('cwd_not_found', `The workdir ${folder} is not where it was, or a link leads there.`, { cause })
  let fd: number
  try {
    fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch (error) {
    throw moved(error)
  }
  try {
    if (readlinkSync(`/proc/self/fd/${fd}`) !== folder) throw moved()
    return start({ cwd: `/proc/${process.pid}/fd/${fd}`, ...user.processAs(fstatSync(fd).gid) })
  } finally {
    closeSync(fd)
  }
}
