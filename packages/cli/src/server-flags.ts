import { ConfigSchema, flagName } from '@troupe/server/config'
import type { ArgsDef } from 'citty'

/** A flag for each setting of the server, with the words and defaults of its schema. */
export function serverArgs(): ArgsDef {
  const flags = Object.entries(ConfigSchema.shape).map(([setting, schema]) => {
    const { innerType, defaultValue } = schema.def
    const options: unknown = 'options' in innerType ? innerType.options : undefined
    const shown = Array.isArray(defaultValue) ? defaultValue.join(',') : (defaultValue ?? '')
    return [
      nameOf(setting),
      {
        // Values are checked by the schema, so that everything wrong is said at once.
        type: 'string' as const,
        valueHint:
          Array.isArray(options) && options.every((option) => typeof option === 'string') ? options.join('|') : 'value',
        description: `${schema.description ?? ''}${shown === '' ? '' : ` (default ${String(shown)})`}`,
      },
    ] as const
  })
  return Object.fromEntries(flags)
}

/** The settings that were given as flags. */
export function serverFlags(given: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(ConfigSchema.shape).map((setting) => [setting, given[nameOf(setting)]]))
}

const nameOf = (setting: string) => flagName(setting).replace(/^--/, '')
