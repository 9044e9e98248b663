import {
  LastVersion,
  type SkillFile,
  SkillLimit,
  SkillRenamed,
  type SkillRow,
  type SkillStore,
  type SkillVersionRow,
} from './skills.ts'
import type { SqliteAccess } from './sqlite-access.ts'

export const SKILLS_MIGRATION = `
  create table skills (
    id text primary key,
    workspace_id text not null,
    name text not null,
    display_name text not null,
    latest_version_id text not null,
    created_at integer not null,
    updated_at integer not null
  );
  create index skills_list on skills (workspace_id, created_at, id);
  create table skill_versions (
    id text primary key,
    skill_id text not null,
    name text not null,
    description text not null,
    created_at integer not null
  );
  create index skill_versions_list on skill_versions (skill_id, created_at, id);
  create table skill_files (
    version_id text not null,
    path text not null,
    content blob not null,
    primary key (version_id, path)
  ) without rowid;
  `

interface SkillsTable {
  id: string
  workspace_id: string
  name: string
  display_name: string
  latest_version_id: string
  created_at: number
  updated_at: number
}
interface VersionsTable {
  id: string
  skill_id: string
  name: string
  description: string
  created_at: number
}

const skillOf = (row: SkillsTable): SkillRow => ({
  id: row.id,
  workspaceId: row.workspace_id,
  name: row.name,
  displayName: row.display_name,
  latestVersionId: row.latest_version_id,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})
const versionOf = (row: VersionsTable): SkillVersionRow => ({
  id: row.id,
  skillId: row.skill_id,
  name: row.name,
  description: row.description,
  createdAt: row.created_at,
})

export function sqliteSkills({ statement, write, noteEffect }: SqliteAccess): SkillStore {
  const insertVersion = (row: SkillVersionRow, files: readonly SkillFile[]) => {
    statement('insert into skill_versions (id, skill_id, name, description, created_at) values (?, ?, ?, ?, ?)').run(
      row.id,
      row.skillId,
      row.name,
      row.description,
      row.createdAt,
    )
    for (const { path, content } of files)
      statement('insert into skill_files (version_id, path, content) values (?, ?, ?)').run(row.id, path, content)
  }
  const count = (text: string, id: string) => (statement(text).get(id) as { n: number }).n
  const owned = (workspaceId: string, id: string) => {
    const row = statement('select * from skills where id = ? and workspace_id = ?').get(id, workspaceId)
    return row ? skillOf(row as SkillsTable) : null
  }
  const page = <T, R>(
    text: string,
    key: string,
    limit: number,
    before: { at: number; id: string } | null,
    to: (row: T) => R,
  ) => {
    const place = before ? 'and (created_at, id) < (?, ?)' : ''
    const rows = statement(`${text} ${place} order by created_at desc, id desc limit ?`).all(
      key,
      ...(before ? [before.at, before.id] : []),
      limit + 1,
    ) as T[]
    return { rows: rows.slice(0, limit).map(to), more: rows.length > limit }
  }
  const dropVersion = (id: string) => {
    statement('delete from skill_files where version_id = ?').run(id)
    statement('delete from skill_versions where id = ?').run(id)
  }

  return {
    create: (skill, version, files, max, effect) =>
      write(() => {
        const there = count('select count(*) as n from skills where workspace_id = ?', skill.workspaceId)
        if (there >= max) throw new SkillLimit(`${there} skills`)
        statement(
          `insert into skills (id, workspace_id, name, display_name, latest_version_id, created_at, updated_at)
           values (?, ?, ?, ?, ?, ?, ?)`,
        ).run(
          skill.id,
          skill.workspaceId,
          skill.name,
          skill.displayName,
          skill.latestVersionId,
          skill.createdAt,
          skill.updatedAt,
        )
        insertVersion(version, files)
        if (effect) noteEffect(effect)
      }),

    addVersion: (workspaceId, version, files, max, effect) =>
      write(() => {
        const skill = owned(workspaceId, version.skillId)
        if (!skill) return false
        if (skill.name !== version.name) throw new SkillRenamed(skill.name)
        const there = count('select count(*) as n from skill_versions where skill_id = ?', skill.id)
        if (there >= max) throw new SkillLimit(`${there} versions`)
        insertVersion(version, files)
        statement('update skills set latest_version_id = ?, updated_at = ? where id = ?').run(
          version.id,
          version.createdAt,
          skill.id,
        )
        if (effect) noteEffect(effect)
        return true
      }),

    read: async (workspaceId, id) => owned(workspaceId, id),

    async readVersion(workspaceId, skillId, versionId) {
      if (!owned(workspaceId, skillId)) return null
      const row = statement('select * from skill_versions where id = ? and skill_id = ?').get(versionId, skillId)
      return row ? versionOf(row as VersionsTable) : null
    },

    files: async (versionId) =>
      statement('select path, content from skill_files where version_id = ? order by path').all(
        versionId,
      ) as SkillFile[],

    list: async (workspaceId, limit, before) =>
      page<SkillsTable, SkillRow>('select * from skills where workspace_id = ?', workspaceId, limit, before, skillOf),

    versions: async (skillId, limit, before) =>
      page<VersionsTable, SkillVersionRow>(
        'select * from skill_versions where skill_id = ?',
        skillId,
        limit,
        before,
        versionOf,
      ),

    delete: (workspaceId, id, effect) =>
      write(() => {
        if (!owned(workspaceId, id)) return false
        const versions = statement('select id from skill_versions where skill_id = ?').all(id) as { id: string }[]
        for (const version of versions) dropVersion(version.id)
        statement('delete from skills where id = ?').run(id)
        if (effect) noteEffect(effect)
        return true
      }),

    deleteVersion: (workspaceId, skillId, versionId, effect) =>
      write(() => {
        const skill = owned(workspaceId, skillId)
        if (!skill) return false
        const versions = statement(
          'select id from skill_versions where skill_id = ? order by created_at desc, id desc',
        ).all(skillId) as { id: string }[]
        if (!versions.some(({ id }) => id === versionId)) return false
        const [newest] = versions.filter(({ id }) => id !== versionId)
        if (!newest) throw new LastVersion(skillId)
        dropVersion(versionId)
        statement('update skills set latest_version_id = ? where id = ?').run(newest.id, skillId)
        if (effect) noteEffect(effect)
        return true
      }),
  }
}
