import type { ModelSource } from '../agents/model-source.ts'
import { type Credential, findCredential } from './credential.ts'

/** `credential_proxy` is `on`, and there is nothing that it could keep from the agents. */
export class NothingToKeep extends Error {
  override readonly name = 'NothingToKeep'
  constructor(problem: string) {
    super(
      `TROUPE_CREDENTIAL_PROXY is on, but ${problem}. Set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN, or TROUPE_CREDENTIAL_PROXY=off: the agents then hold the credential themselves.`,
    )
  }
}

/**
 * Whether the model's key is kept from the agents. `auto`: wherever that can be done; the demo model's is no secret.
 * `note`: in words, behind those of the model. Throws `NothingToKeep`.
 */
export function chooseProxy(
  config: { credential_proxy: 'auto' | 'on' | 'off'; env: NodeJS.ProcessEnv },
  model: Pick<ModelSource, 'source'>,
  demoUrl: string | null,
): { credential: Credential | null; note: string } {
  const { credential_proxy: wanted, env } = config
  const none = { credential: null, note: '' }
  if (wanted === 'auto' && model.source !== 'configured') return none
  const held = ' The agents hold the credential themselves'
  if (wanted === 'off') return model.source === 'configured' ? { ...none, note: `${held}.` } : none
  const found = findCredential(env, model, demoUrl)
  if (!('problem' in found)) return { credential: found, note: ' The agents get a stand-in for the key.' }
  if (wanted === 'on') throw new NothingToKeep(found.problem)
  return { ...none, note: `${held}: ${found.problem}.` }
}
