import type { DemoModel } from '@troupe/demo-model/demo-model'
import { chooseModelSource, type ModelSource } from '../agents/model-source.ts'
import type { Config } from '../config.ts'
import { chooseProxy } from '../proxy/choose-proxy.ts'
import type { Credential } from '../proxy/credential.ts'
import type { Undo } from './undo.ts'

/** Who answers for the model. */
export interface ChosenModel {
  model: ModelSource
  /** The demo model, when it answers. */
  demoModel: DemoModel | null
  /** What is to be kept from the agents; null: they hold it themselves, or there is none. */
  credential: Credential | null
}

/** Starts the demo model where it is to answer and nobody else has. Throws `NothingToKeep`. */
export async function chooseModel(config: Config, given: DemoModel | undefined, undo: Undo): Promise<ChosenModel> {
  const source = chooseModelSource(config.env, config.demo_model)
  const demoModel = source.source === 'demo' ? (given ?? (await startDemo())) : null
  if (demoModel && !given) undo.push(() => demoModel.close())
  const { credential, note } = chooseProxy(config, source, demoModel?.url ?? null)
  return { model: { ...source, note: source.note + note }, demoModel, credential }
}

/** Loaded only where it is played. */
async function startDemo(): Promise<DemoModel> {
  const { startDemoModel } = await import('@troupe/demo-model/demo-model')
  return startDemoModel()
}
