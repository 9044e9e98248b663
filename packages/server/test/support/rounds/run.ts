import type { Approval } from '@troupe/protocol/approval'
import type { Session } from '@troupe/protocol/session'
import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { type Random, random } from '../chaos/random.ts'
import { agentProcesses } from '../chaos/verify.ts'
import type { ChaosReport } from '../chaos/run.ts'
import { act, ask, decide } from './act.ts'
import { fault } from './faults.ts'
import { verify } from './verify.ts'
import { RoundsWorld } from './world.ts'

export interface RoundsOptions {
  seed: number
  rounds: number
  /** Told now and then. */
  log?: (line: string) => void
}

/**
 * Rounds with the genuine agent: sends, steers, interrupts, edits, verdicts by two at once, deadlines; and kills of
 * agents and of the server in between. Then a look at everything that must hold: inputs, approvals, effects, bills,
 * processes, sessions. One seed decides what is tried; how it interleaves is the machine's.
 */
export async function runRounds({ seed, rounds, log }: RoundsOptions): Promise<ChaosReport> {
  const world = await RoundsWorld.start(seed)
  const chance = random(seed, 'rounds')
  const faults = random(seed, 'faults')
  try {
    const pending = new Set<Promise<void>>()
    for (let round = 1; round <= rounds; round++) {
      const acting = act(world, chance).finally(() => pending.delete(acting))
      pending.add(acting)
      // Some things are done at the same time.
      if (chance.chance(0.6)) await acting
      if (round > 3 && faults.chance(0.2)) await fault(world, faults)
      await delay(chance.int(0, 500))
      if (round % 10 === 0) log?.(`round ${round}/${rounds}: ${JSON.stringify(world.counts)}`)
    }
    await Promise.all(pending)
    await calmDown(world, chance)
    await verify(world)
    await stillUsable(world)
    await world.server.terminate()
    const alive = process.platform === 'linux' ? agentProcesses(world.mark, Infinity) : []
    if (alive.length > 0) world.problem(`agents outlived the drain: ${alive.join('; ')}`)
  } catch (error) {
    world.problem(`the run broke off: ${error instanceof Error ? error.stack : String(error)}`)
  } finally {
    await world.server.kill()
    await world.model.close()
    if (world.problems.length === 0) rmSync(world.folder, { recursive: true, force: true, maxRetries: 3 })
    else log?.(`left in ${world.folder}`)
  }
  return { seed, kills: rounds, counts: world.counts, problems: world.problems }
}

/** Until nothing runs and nothing waits: every question is answered. Turns end by themselves, at the latest by their time limit. */
async function calmDown(world: RoundsWorld, chance: Random): Promise<void> {
  for (const deadline = Date.now() + 240_000; Date.now() < deadline; await delay(100)) {
    const busy = await ask(world, 'GET', '/v1/sessions?limit=1000&statuses[]=running&statuses[]=rescheduling')
    const waiting = (await ask(world, 'GET', '/v1/approvals?limit=100'))?.body.data as Approval[] | undefined
    if (waiting!.length > 0) await decide(world, chance)
    else if ((busy!.body.data as unknown as Session[]).length === 0) return
  }
  const { data } = (await ask(world, 'GET', '/v1/sessions?limit=1000&statuses[]=running&statuses[]=rescheduling'))!.body
  world.problem(`sessions still run: ${JSON.stringify(data)}`)
}

/** Every session answers once more. */
async function stillUsable(world: RoundsWorld): Promise<void> {
  for (const { id } of world.sessions) {
    const events = [{ type: 'user.message', content: `Play\n\`\`\`script\n[{"say":"still here"}]\n\`\`\`` }]
    await ask(world, 'POST', `/v1/sessions/${id}/events`, { events })
  }
  for (const { id } of world.sessions) {
    const url = `${await world.server.url}/v1/sessions/${id}?wait_for=idle&timeout=120`
    const session = (await (await fetch(url)).json()) as Session
    if (session.result?.text !== 'still here') world.problem(`${id} is stuck: ${JSON.stringify(session)}`)
  }
}
