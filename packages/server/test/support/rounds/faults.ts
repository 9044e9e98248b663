import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { noOrphans } from '../chaos/verify.ts'
import type { Random } from '../chaos/random.ts'
import type { RoundsWorld } from './world.ts'

/** The agents of a server, themselves: not what they started. */
function agents(mark: string): number[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const own = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`CLAUDE_CODE_CHAOS=${mark}`)
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      return own && command.includes('--output-format') && command.split('\0')[0]!.endsWith('claude')
        ? [Number(pid)]
        : []
    } catch {
      return []
    }
  })
}

/** Kills one agent, or the server, which then starts again. */
export async function fault(world: RoundsWorld, chance: Random): Promise<void> {
  const dice = chance.int(1, 100)
  if (dice <= 35) {
    const alive = agents(world.mark)
    if (alive.length === 0) return
    try {
      process.kill(chance.pick(alive), 'SIGKILL')
      world.count('agents killed')
    } catch {
      world.count('agents gone before they were killed')
    }
    return
  }
  if (dice <= 50) {
    await world.server.terminate()
    world.count('servers drained')
  } else {
    await world.server.kill()
    world.count('servers killed')
  }
  // Some servers die while they start.
  if (chance.chance(0.1)) {
    const starting = world.server.start()
    await delay(chance.int(0, 700))
    await world.server.kill()
    await starting
    world.count('servers killed while starting')
  }
  await world.server.start()
  await noOrphans(world)
}
