import type { PermissionRule } from '@troupe/protocol/agent'
import type { Subagent } from '@troupe/protocol/multiagent'
import type { Agent } from '@troupe/protocol/saved-agent'
import { namesIn } from './draft.ts'

/** A skill that an agent has; without a version the newest, as of when it is saved. */
export interface SkillDraft {
  id: string
  version: string | null
}

/** A subagent, as it was typed. `kept`: what of it the form does not show. */
export interface SubagentDraft {
  name: string
  description: string
  system: string
  model: string
  tools: string
  kept: Pick<Subagent, 'effort' | 'disallowed_tools'>
}

/** Parts of an agent that are lists. */
export interface AgentParts {
  rules: PermissionRule[]
  skills: SkillDraft[]
  subagents: SubagentDraft[]
}

export const NO_PARTS: AgentParts = { rules: [], skills: [], subagents: [] }
export const NEW_SUBAGENT: SubagentDraft = { name: '', description: '', system: '', model: '', tools: '', kept: {} }

export const partsOf = ({ permission_rules, skills, subagents }: Agent): AgentParts => ({
  rules: permission_rules ?? [],
  skills: skills.map(({ skill_id, version }) => ({ id: skill_id, version })),
  subagents: (subagents ?? []).map(({ name, description, system, model, tools, ...kept }) => ({
    name,
    description,
    system,
    kept,
    model: model ?? '',
    tools: tools?.join(', ') ?? '',
  })),
})

/** As they are sent. A rule that says nothing yet is left out. */
export const partsBody = ({ rules, skills, subagents }: AgentParts) => ({
  permission_rules: rules
    .filter(({ rule }) => rule.trim() !== '')
    .map(({ rule, policy }) => ({ rule: rule.trim(), policy })),
  skills: skills.map(({ id, version }) => ({ type: 'custom', skill_id: id, ...(version !== null && { version }) })),
  subagents: subagents.map(({ name, description, system, model, tools, kept }) => ({
    ...kept,
    name: name.trim(),
    description: description.trim(),
    system,
    ...(model.trim() && { model: model.trim() }),
    ...(namesIn(tools).length > 0 && { tools: namesIn(tools) }),
  })),
})
