import type { EnvironmentConfig } from '@troupe/protocol/environment'
import { ApiError } from '@troupe/protocol/error'
import { join } from 'node:path'

export const MANAGERS = ['apt', 'cargo', 'gem', 'go', 'npm', 'pip'] as const
type Manager = (typeof MANAGERS)[number]
type Packages = Partial<Record<Manager, string[] | null | undefined>>

/** Names and versions as registries have them: no addresses, no paths, nothing that a program takes for an option. */
const FORMS: Partial<Record<Manager, RegExp>> = {
  npm: /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*(@[a-z0-9^~<>=*][a-z0-9^~<>=*.+-]*)?$/i,
  pip: /^[a-z0-9][a-z0-9._-]*(\[[a-z0-9,._-]+\])?((===?|~=|!=|<=?|>=?)[a-z0-9.*+!-]+(,(===?|~=|!=|<=?|>=?)[a-z0-9.*+!-]+)*)?$/i,
}

/** What the server runs to install them into the home of a session, where nothing but the session has it. */
const COMMANDS: Partial<Record<Manager, string>> = {
  npm: 'npm install --global --no-audit --no-fund --prefix "$HOME/.local" --',
  pip: 'PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --user --no-input --disable-pip-version-check --',
}

/**
 * The packages of a cloud environment, all managers named: as given, else as they were. Throws `unsupported_feature` for
 * managers that would change the machine, and where the network is limited; `validation_failed`.
 */
export function wholePackages(
  given: Packages | null | undefined,
  before: Record<string, string[]> | null,
  limited: boolean,
): Record<string, string[]> {
  const whole = Object.fromEntries(
    MANAGERS.map((manager) => {
      const asked = given === null ? null : given?.[manager]
      return [manager, asked === undefined ? (before?.[manager] ?? []) : (asked ?? [])] as const
    }),
  )
  for (const manager of MANAGERS) {
    const names = whole[manager]!
    if (names.length === 0) continue
    const form = FORMS[manager]
    if (!form)
      throw new ApiError(
        'unsupported_feature',
        `packages.${manager} are not installed by this version, only npm and pip; install them on this machine or into the image of a container, or let the setup of a local environment do it.`,
      )
    if (limited)
      throw new ApiError(
        'unsupported_feature',
        'packages are not installed where the network is limited: what they run would not be kept back. Install them on this machine.',
      )
    const bad = names.findIndex((name) => !form.test(name))
    if (bad >= 0) {
      const detail = `${JSON.stringify(names[bad])} is no name of a package of ${manager}, with or without a version.`
      throw new ApiError('validation_failed', `config.packages.${manager}: ${detail}`, {
        errors: [{ pointer: `/config/packages/${manager}/${bad}`, code: 'invalid_value', detail }],
      })
    }
  }
  return whole
}

/** What is to be run to have the packages of an environment; none where it has none. */
export function packageCommands(config: EnvironmentConfig): string[] {
  if (config.type !== 'cloud') return []
  return MANAGERS.flatMap((manager) => {
    const names = config.packages[manager] ?? []
    // None of them has a quote.
    return names.length === 0 ? [] : [`${COMMANDS[manager]} ${names.map((name) => `'${name}'`).join(' ')}`]
  })
}

/** The environment of an agent, which finds the programs of its packages before those of the machine. */
export function withPackages(
  env: Record<string, string>,
  config: EnvironmentConfig | undefined,
): Record<string, string> {
  if (!config || packageCommands(config).length === 0 || env.HOME === undefined) return env
  return { ...env, PATH: [join(env.HOME, '.local', 'bin'), ...(env.PATH ? [env.PATH] : [])].join(':') }
}
