import type { Anthropic } from 'anthropic-sdk-1.12'
import { toFile } from 'anthropic-sdk-1.12'
import { all, say } from './sdk-clients.ts'
import { expect } from 'vitest'

export type Beta = Anthropic['beta']
export type Calls = Record<string, (beta: Beta, ids: Record<string, string>) => Promise<unknown>>

const skill = async () => [
  await toFile(Buffer.from('---\nname: greet\ndescription: How to greet\n---\nHi.'), 'greet/SKILL.md'),
]
const PLAIN = { agent: 'agent_default', environment_id: 'env_default' }
const CRON = { type: 'cron' as const, expression: '0 3 1 1 *', timezone: 'UTC' }

/** One call of each method, in an order in which each finds what it needs. */
export const CALLS: Calls = {
  'models.list': (beta) => all(beta.models.list()),
  'models.retrieve': (beta) => beta.models.retrieve('sonnet'),
  'agents.create': async (beta, ids) => (ids.agent = (await beta.agents.create({ name: 'A', model: 'sonnet' })).id),
  'agents.retrieve': (beta, ids) => beta.agents.retrieve(ids.agent!, { version: 1 }),
  'agents.update': (beta, ids) => beta.agents.update(ids.agent!, { version: 1, description: 'new' }),
  'agents.list': (beta) => all(beta.agents.list({ limit: 1 })),
  'agents.versions.list': (beta, ids) => all(beta.agents.versions.list(ids.agent!, { limit: 1 })),
  'environments.create': async (beta, ids) => (ids.environment = (await beta.environments.create({ name: 'E' })).id),
  'environments.retrieve': (beta, ids) => beta.environments.retrieve(ids.environment!),
  'environments.update': (beta, ids) => beta.environments.update(ids.environment!, { description: 'new' }),
  'environments.list': (beta) => all(beta.environments.list({ limit: 1 })),
  'files.upload': async (beta, ids) =>
    (ids.file = (await beta.files.upload({ file: await toFile(Buffer.from('a,b'), 'a.csv') })).id),
  'files.retrieveMetadata': (beta, ids) => beta.files.retrieveMetadata(ids.file!),
  'files.download': async (beta, ids) => (await beta.files.download(ids.file!)).text(),
  'files.list': (beta) => all(beta.files.list({ limit: 1 })),
  'skills.create': async (beta, ids) => {
    const made = await beta.skills.create({ files: await skill() })
    ids.skill = made.id
  },
  'skills.retrieve': (beta, ids) => beta.skills.retrieve(ids.skill!),
  'skills.list': (beta) => all(beta.skills.list({ limit: 1 })),
  'skills.versions.create': async (beta, ids) => {
    const made = await beta.skills.versions.create(ids.skill!, { files: await skill() })
    ids.version = made.id ?? (made as { version?: string }).version
  },
  'skills.versions.retrieve': (beta, ids) => beta.skills.versions.retrieve(ids.version!, { skill_id: ids.skill! }),
  'skills.versions.list': (beta, ids) => all(beta.skills.versions.list(ids.skill!)),
  'skills.versions.download': async (beta, ids) =>
    (await beta.skills.versions.download(ids.version!, { skill_id: ids.skill! })).arrayBuffer(),
  'sessions.create': async (beta, ids) => (ids.session = (await beta.sessions.create(PLAIN)).id),
  'sessions.retrieve': (beta, ids) => beta.sessions.retrieve(ids.session!),
  'sessions.update': (beta, ids) => beta.sessions.update(ids.session!, { title: 'new' }),
  'sessions.list': (beta) => all(beta.sessions.list({ limit: 50 })),
  'sessions.resources.add': async (beta, ids) =>
    (ids.resource = (await beta.sessions.resources.add(ids.session!, { type: 'file', file_id: ids.file! })).id),
  'sessions.resources.retrieve': (beta, ids) =>
    beta.sessions.resources.retrieve(ids.resource!, { session_id: ids.session! }),
  'sessions.resources.list': (beta, ids) => all(beta.sessions.resources.list(ids.session!)),
  // A file has nothing that could be changed, which is said by name.
  'sessions.resources.update': (beta, ids) =>
    beta.sessions.resources
      .update(ids.resource!, { session_id: ids.session!, authorization_token: 'x' })
      .catch((error: unknown) => expect(error).toMatchObject({ error: { code: 'unsupported_feature' } })),
  'sessions.resources.delete': (beta, ids) =>
    beta.sessions.resources.delete(ids.resource!, { session_id: ids.session! }),
  'sessions.events.send': (beta, ids) => beta.sessions.events.send(ids.session!, { events: [say('subagent done')] }),
  'sessions.events.stream': async (beta, ids) => {
    for await (const event of await beta.sessions.events.stream(ids.session!))
      if (event.type === 'session.status_idle') return
  },
  'sessions.events.list': (beta, ids) => all(beta.sessions.events.list(ids.session!, { limit: 5 })),
  'sessions.events.toolRunner': async (beta, ids) => {
    await beta.sessions.events.send(ids.session!, { events: [say('say more')] })
    return all(beta.sessions.events.toolRunner(ids.session!, { tools: [], maxIdleMs: 50 }))
  },
  'sessions.threads.list': async (beta, ids) => {
    const threads = await all(beta.sessions.threads.list(ids.session!))
    ids.thread = threads.find(({ parent_thread_id: parent }) => parent !== null)!.id
  },
  'sessions.threads.retrieve': (beta, ids) => beta.sessions.threads.retrieve(ids.thread!, { session_id: ids.session! }),
  'sessions.threads.events.list': (beta, ids) =>
    all(beta.sessions.threads.events.list(ids.thread!, { session_id: ids.session! })),
  'sessions.threads.events.stream': async (beta, ids) => {
    for await (const event of await beta.sessions.threads.events.stream(ids.thread!, { session_id: ids.session! }))
      if (event.type === 'session.thread_status_idle') return
  },
  'sessions.threads.archive': (beta, ids) => beta.sessions.threads.archive(ids.thread!, { session_id: ids.session! }),
  'deployments.create': async (beta, ids) =>
    (ids.deployment = (
      await beta.deployments.create({ ...PLAIN, name: 'D', initial_events: [say('hello')], schedule: CRON })
    ).id),
  'deployments.retrieve': (beta, ids) => beta.deployments.retrieve(ids.deployment!),
  'deployments.update': (beta, ids) => beta.deployments.update(ids.deployment!, { description: 'new' }),
  'deployments.list': (beta) => all(beta.deployments.list({ limit: 1 })),
  'deployments.pause': (beta, ids) => beta.deployments.pause(ids.deployment!),
  'deployments.run': async (beta, ids) => (ids.run = (await beta.deployments.run(ids.deployment!)).id),
  'deploymentRuns.retrieve': (beta, ids) => beta.deploymentRuns.retrieve(ids.run!),
  'deploymentRuns.list': (beta, ids) => all(beta.deploymentRuns.list({ deployment_id: ids.deployment! })),
  'deployments.unpause': (beta, ids) => beta.deployments.unpause(ids.deployment!),
  'deployments.archive': (beta, ids) => beta.deployments.archive(ids.deployment!),
  'sessions.archive': (beta, ids) => beta.sessions.archive(ids.session!),
  'sessions.delete': (beta, ids) => beta.sessions.delete(ids.session!),
  'skills.versions.delete': (beta, ids) => beta.skills.versions.delete(ids.version!, { skill_id: ids.skill! }),
  'skills.delete': (beta, ids) => beta.skills.delete(ids.skill!),
  'files.delete': (beta, ids) => beta.files.delete(ids.file!),
  'environments.archive': (beta, ids) => beta.environments.archive(ids.environment!),
  'environments.delete': (beta, ids) => beta.environments.delete(ids.environment!),
  'agents.archive': (beta, ids) => beta.agents.archive(ids.agent!),
}
