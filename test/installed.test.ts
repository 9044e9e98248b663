import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')

describe('what is installed', () => {
  interface Package {
    version?: string
    license?: string | { type: string }
    licenses?: { type: string }[]
    scripts?: Record<string, string>
    hasInstallScript?: boolean
    resolved?: string
    link?: boolean
  }
  const text = read('package-lock.json')
  const locked = Object.entries((JSON.parse(text) as { packages: Record<string, Package> }).packages).filter(
    ([path, { link }]) => path.includes('node_modules/') && !link,
  )
  /** Its own manifest, or what the lockfile says of a package for other platforms. */
  const manifest = (path: string, entry: Package): Package =>
    existsSync(join(root, path, 'package.json')) ? (JSON.parse(read(`${path}/package.json`)) as Package) : entry

  const ALLOWED = new Set(
    'MIT ISC Apache-2.0 BSD-2-Clause BSD-3-Clause 0BSD BlueOak-1.0.0 CC0-1.0 CC-BY-4.0 Python-2.0 MPL-2.0 Unlicense'.split(
      ' ',
    ),
  )
  /** Anthropic's own terms, by exact name. */
  const AGENT_SDK: Record<string, string> = {
    '@anthropic-ai/claude-agent-sdk': 'SEE LICENSE IN README.md',
    ...Object.fromEntries(
      [
        'darwin-arm64',
        'darwin-x64',
        'linux-arm64',
        'linux-arm64-musl',
        'linux-x64',
        'linux-x64-musl',
        'win32-arm64',
        'win32-x64',
      ].map((platform) => [`@anthropic-ai/claude-agent-sdk-${platform}`, 'SEE LICENSE IN LICENSE.md']),
    ),
  }

  test('every package has a licence that allows what we do', () => {
    expect(locked.length).toBeGreaterThan(100)
    const refused = locked.flatMap(([path, entry]) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
      const { license, licenses } = manifest(path, entry)
      const said =
        typeof license === 'string' ? license : (license?.type ?? licenses?.map(({ type }) => type).join(' OR '))
      if (said === undefined) return [`${name}: none`]
      if (said === AGENT_SDK[name]) return []
      const choices = said.replaceAll(/[()]/g, '').split(' OR ')
      return choices.some((choice) => choice.split(' AND ').every((one) => ALLOWED.has(one)))
        ? []
        : [`${name}: ${said}`]
    })
    expect(refused).toEqual([])
    expect(JSON.parse(read('package.json'))).toMatchObject({ license: 'MIT' })
    expect(read('LICENSE')).toMatch(/^MIT License/)
  })

  test('the lockfile names no registry, and pins every package by its content', () => {
    expect(locked.filter(([, { resolved }]) => resolved !== undefined)).toEqual([])
    expect(text).not.toMatch(/registry\.|artifactory/i)
    expect(
      locked.filter(([, entry]) => !('integrity' in entry) && !('inBundle' in entry)).map(([path]) => path),
    ).toEqual([])
  })

  test('the lockfile is whole: npm ci installs on every platform', () => {
    const names = new Set(
      locked.map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)),
    )
    const missing = locked.flatMap(([path, entry]) => {
      const { dependencies = {}, optionalDependencies = {} } = entry as Record<string, Record<string, string>>
      return Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !names.has(name))
        .map((name) => `${path} needs ${name}`)
    })
    expect(missing).toEqual([])
  })

  test('an install runs nothing: no install scripts, and none that npm would make up', () => {
    const scripts = ['preinstall', 'install', 'postinstall']
    const running = locked.filter(
      ([path, entry]) =>
        entry.hasInstallScript || scripts.some((name) => manifest(path, entry).scripts?.[name] !== undefined),
    )
    expect(running.map(([path]) => path)).toEqual([])
    // With a lockfile, npm compiles whatever has a binding.gyp, though prebuilt binaries lie beside it.
    const native = locked.map(([path]) => path).filter((path) => existsSync(join(root, path, 'binding.gyp')))
    const ignores =
      /^ignore-scripts\s*=\s*true$/m.test(read('.npmrc')) || read('scripts/install.mjs').includes('--ignore-scripts')
    expect(ignores ? [] : native, 'compiled by npm ci; set ignore-scripts=true in .npmrc').toEqual([])
  })
})
