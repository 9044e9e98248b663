import { NO_USAGE, type UsageTotals } from '../store/usage.ts'
import type { Store } from '../store/store.ts'
import type { ThreadPatch, ThreadRow } from '../store/threads.ts'

/**
 * What subagents used, summed over their own model requests. Their messages do not tell how much was written (measured:
 * `output_tokens` is that of the request's start), their transcripts do. Null where there is no request.
 */
export async function threadUsage(
  store: Store,
  sessionId: string,
  threads: ThreadRow[],
): Promise<{ id: string; patch: ThreadPatch }[]> {
  const patches = await Promise.all(
    threads.map(async ({ id, taskId }) => {
      const entries = await store.loadTranscript(sessionId, `subagents/agent-${taskId}`)
      return { id, patch: { usage: sumOf(entries) } }
    }),
  )
  return patches.filter(({ patch }) => patch.usage !== null)
}

interface Used {
  input_tokens?: number | null
  output_tokens?: number | null
  cache_read_input_tokens?: number | null
  cache_creation_input_tokens?: number | null
  cache_creation?: { ephemeral_1h_input_tokens?: number | null } | null
}

interface Entry {
  type?: string
  message?: { id?: string; usage?: Used }
}

/** An answer stands in a transcript once for each of its blocks, each time with the usage of the whole. */
export function sumOf(entries: string[]): UsageTotals | null {
  const answers = new Map<string, Used>()
  for (const text of entries) {
    if (!text.includes('"assistant"')) continue
    const { type, message } = JSON.parse(text) as Entry
    if (type === 'assistant' && message?.id && message.usage) answers.set(message.id, message.usage)
  }
  if (answers.size === 0) return null
  const sum = (of: (usage: Used) => number | null | undefined) =>
    answers.values().reduce((total, usage) => total + (of(usage) ?? 0), 0)
  return {
    ...NO_USAGE,
    inputTokens: sum((usage) => usage.input_tokens),
    outputTokens: sum((usage) => usage.output_tokens),
    cacheReadTokens: sum((usage) => usage.cache_read_input_tokens),
    cacheCreationTokens: sum((usage) => usage.cache_creation_input_tokens),
    cacheCreation1hTokens: sum((usage) => usage.cache_creation?.ephemeral_1h_input_tokens),
  }
}
