import type { SessionStore } from '@anthropic-ai/claude-agent-sdk'
import type { Store } from '../store/store.ts'

/**
 * The SDK's mirror of a session's transcript, kept in our store: a resume needs nothing from the disk of the process
 * that wrote it. What an agent says that was started before a rewind (`generation`) is not taken. The project key is not used: it is derived from the workdir, and a session has one transcript.
 */
export function transcriptStore(store: Store, sessionId: string, generation: number): SessionStore {
  return {
    async append(key, entries) {
      await store.appendTranscript(
        sessionId,
        key.subpath ?? '',
        entries.map((entry) => ({ uuid: entry.uuid ?? null, body: JSON.stringify(entry) })),
        generation,
      )
    },
    async load(key) {
      const bodies = await store.loadTranscript(sessionId, key.subpath ?? '')
      return bodies.length === 0 ? null : bodies.map((body) => JSON.parse(body))
    },
    listSubkeys: () => store.listTranscripts(sessionId),
  }
}
