import type { PinnedSkill } from '@troupe/protocol/attached-skill'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { SkillStore } from '../store/skills.ts'
import { MAIN, safeMain } from './skill-content.ts'

/** The agent knows a skill by this and its name: `skills:greet`. */
const PLUGIN = 'skills'

/** Where an agent finds its skills, and which of them are no more. */
export interface MountedSkills {
  /** Null: it has none. */
  folder: string | null
  missing: string[]
}

/**
 * Writes an agent's skills as a plugin into a folder of its session, anew for each process: what an agent did to them is
 * gone, and nobody shares them. What a skill could run by itself is left out.
 */
export async function mountSkills(
  store: SkillStore,
  workspaceId: string,
  skills: readonly PinnedSkill[],
  folder: string,
): Promise<MountedSkills> {
  await rm(folder, { recursive: true, force: true })
  const missing: string[] = []
  let mounted = 0
  for (const { skill_id, version } of skills) {
    const row = await store.readVersion(workspaceId, skill_id, version)
    if (!row) {
      missing.push(skill_id)
      continue
    }
    for (const { path, content } of await store.files(row.id)) {
      const file = join(folder, 'skills', row.name, path)
      // The session's own folder, around it, is closed to others; its agents may have another user.
      await mkdir(dirname(file), { recursive: true, mode: 0o755 })
      await writeFile(file, path === MAIN ? safeMain(content, row.name) : content, { mode: 0o644 })
    }
    mounted++
  }
  if (mounted === 0) return { folder: null, missing }
  await mkdir(join(folder, '.claude-plugin'), { recursive: true, mode: 0o755 })
  await writeFile(join(folder, '.claude-plugin', 'plugin.json'), JSON.stringify({ name: PLUGIN, version: '1.0.0' }))
  return { folder, missing }
}
