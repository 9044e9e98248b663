import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'

const PROGRAMS = [
  'bash',
  'sh',
  'cat',
  'ls',
  'id',
  'env',
  'echo',
  'touch',
  'mkdir',
  'rm',
  'sleep',
  'sort',
  'head',
  'mv',
  'cp',
]

/** Makes a root file system of a few programs of this machine, with the libraries that they need, and what `besides` needs. */
export function makeRootFileSystem(folder: string, besides: string[]): string {
  for (const name of ['usr/bin', 'usr/lib', 'etc', 'opt']) mkdirSync(join(folder, name), { recursive: true })
  symlinkSync('usr/bin', join(folder, 'bin'))
  const copy = (path: string) => {
    const place = join(folder, path)
    if (existsSync(place)) return
    mkdirSync(dirname(place), { recursive: true })
    cpSync(realpathSync(path), place)
  }
  const where = (name: string) => ['/usr/bin', '/bin'].map((path) => join(path, name)).find((path) => existsSync(path))!
  const programs = PROGRAMS.map(where)
  for (const path of programs) cpSync(realpathSync(path), join(folder, 'usr/bin', path.split('/').at(-1)!))
  for (const program of [...programs, ...besides])
    for (const [, path] of spawnSync('ldd', [program], { encoding: 'utf8' }).stdout.matchAll(/(\/\S+) \(/g)) copy(path!)
  return folder
}
