import type { Environment } from '@troupe/protocol/environment'
import type { EnvironmentRow } from '../store/environments.ts'

const iso = (at: number) => new Date(at).toISOString()

/**
 * An environment as the API shows it. Values of variables may be secrets and are never shown; sent back as they are shown
 * they stay. `strict`: the built-in one is of a type that the hosted API has.
 */
export function environmentToWire({ config, ...row }: EnvironmentRow, strict = false): Environment {
  const whole: EnvironmentRow['config'] =
    config.type === 'local' ? { setup: [], setup_timeout_seconds: null, worktree: null, ...config } : config
  const shown = 'env' in whole ? { ...whole, env: hidden(whole.env) } : whole
  return {
    type: 'environment',
    id: row.id,
    name: row.name,
    description: row.description,
    config: strict ? asCloud(shown) : { ...shown, ...(shown.type === 'cloud' && packages(shown)) },
    metadata: row.metadata,
    scope: 'organization',
    created_at: iso(row.createdAt),
    updated_at: iso(row.updatedAt),
    archived_at: row.archivedAt === null ? null : iso(row.archivedAt),
  }
}

const hidden = (env: Record<string, string>) => Object.fromEntries(Object.keys(env).map((name) => [name, null]))

const packages = ({ packages: lists }: { packages: Record<string, string[]> }) => ({
  packages: { type: 'packages', ...lists },
})

const NO_PACKAGES = { apt: [], cargo: [], gem: [], go: [], npm: [], pip: [] }

/** What a client of the hosted API understands of it: whether the network is open. */
const asCloud = (config: object) => ({
  type: 'cloud' as const,
  networking: 'networking' in config ? config.networking : { type: 'unrestricted' },
  packages: { type: 'packages', ...NO_PACKAGES },
})
