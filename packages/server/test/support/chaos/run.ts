import { setTimeout as delay } from 'node:timers/promises'
import { rmSync } from 'node:fs'
import { random } from './random.ts'
import { noOrphans, calmDown, verify, verifyDisk } from './verify.ts'
import { readStreams } from './watch.ts'
import { work } from './work.ts'
import { World } from './world.ts'
import { READERS, WORKERS } from './limits.ts'

/**
 * Chaos: random work over HTTP against a server that is killed again and again on the same data folder, and then a
 * look at everything that must hold. One seed decides what is tried; how it interleaves is the machine's.
 */
export interface ChaosOptions {
  seed: number
  kills: number
  /** Told once a round. */
  log?: (line: string) => void
}

export interface ChaosReport {
  seed: number
  kills: number
  counts: Record<string, number>
  /** What does not hold, in words; empty when all is well. */
  problems: string[]
}

/** Kills a working server `kills` times and answers with what did not hold. Never rejects for a broken promise. */
export async function runChaos({ seed, kills, log }: ChaosOptions): Promise<ChaosReport> {
  const world = new World(seed)
  try {
    const killer = random(seed, 'kill')
    const stop = new AbortController()
    await world.server.start()
    const readers = Array.from({ length: READERS }, (_, n) => readStreams(world, random(seed, `reader ${n}`)))
    const workers = Array.from({ length: WORKERS }, (_, n) => work(world, random(seed, `worker ${n}`), stop.signal))
    for (let round = 1; round <= kills; round++) {
      await delay(killer.int(20, 1_500))
      await world.server.kill()
      // Some servers die while they start.
      if (killer.chance(0.15)) {
        const starting = world.server.start()
        await delay(killer.int(0, 700))
        await world.server.kill()
        await starting
        world.count('killed while starting')
      }
      await world.server.start()
      await noOrphans(world)
      log?.(`kill ${round}/${kills}: ${JSON.stringify(world.counts)}`)
    }
    await delay(300)
    stop.abort()
    await Promise.all(workers)
    await calmDown(world)
    world.calm = true
    const seen = await Promise.all(readers)
    await verify(world, seen.flat())
    await world.server.terminate()
    verifyDisk(world)
  } catch (error) {
    world.problem(`the run broke off: ${error instanceof Error ? error.stack : String(error)}`)
  } finally {
    world.calm = true
    await world.server.kill()
    if (world.problems.length === 0) rmSync(world.folder, { recursive: true, force: true, maxRetries: 3 })
  }
  return { seed, kills, counts: world.counts, problems: world.problems }
}
