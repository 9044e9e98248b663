import type { Effect } from './idempotency.ts'

export interface SkillRow {
  id: string
  workspaceId: string
  /** The slug that all versions have. */
  name: string
  displayName: string
  latestVersionId: string
  createdAt: number
  updatedAt: number
}

export interface SkillVersionRow {
  id: string
  skillId: string
  name: string
  description: string
  createdAt: number
}

/** A file of a skill; its path begins below the skill's folder. */
export interface SkillFile {
  path: string
  content: Buffer
}

/** There are as many skills, or versions of one, as there may be. */
export class SkillLimit extends Error {
  override readonly name = 'SkillLimit'
}

/** A version has another name than its skill. */
export class SkillRenamed extends Error {
  override readonly name = 'SkillRenamed'
}

/** A skill has at least one version. */
export class LastVersion extends Error {
  override readonly name = 'LastVersion'
}

export interface SkillPlace {
  at: number
  id: string
}

/** The part of the store's contract that is about skills. Their files lie in the store, whole. */
export interface SkillStore {
  /** A skill with its first version, in one step. Throws `SkillLimit`. */
  create(
    skill: SkillRow,
    version: SkillVersionRow,
    files: readonly SkillFile[],
    max: number,
    effect?: Effect,
  ): Promise<void>
  /** The newest version from now on. False when the workspace has no such skill. Throws `SkillLimit`, `SkillRenamed`. */
  addVersion(
    workspaceId: string,
    version: SkillVersionRow,
    files: readonly SkillFile[],
    max: number,
    effect?: Effect,
  ): Promise<boolean>
  read(workspaceId: string, id: string): Promise<SkillRow | null>
  readVersion(workspaceId: string, skillId: string, versionId: string): Promise<SkillVersionRow | null>
  /** By path. */
  files(versionId: string): Promise<SkillFile[]>
  /** By (created, id), newest first. */
  list(workspaceId: string, limit: number, before: SkillPlace | null): Promise<{ rows: SkillRow[]; more: boolean }>
  versions(
    skillId: string,
    limit: number,
    before: SkillPlace | null,
  ): Promise<{ rows: SkillVersionRow[]; more: boolean }>
  /** With all its versions. False when the workspace has no such skill. */
  delete(workspaceId: string, id: string, effect?: Effect): Promise<boolean>
  /** The one before it is the newest then. False when there is no such version. Throws `LastVersion`. */
  deleteVersion(workspaceId: string, skillId: string, versionId: string, effect?: Effect): Promise<boolean>
}
