import { type Collected, collectOutputs } from '../files/collect-outputs.ts'
import { removeUnneeded } from '../files/find-file.ts'
import type { FileRow } from '../store/files.ts'
import type { SessionRow } from '../store/session-row.ts'
import type { Decision } from './change-session.ts'
import type { SessionContext } from './context.ts'
import { mergeDecisions } from './merge-decisions.ts'
import { newEvent } from './new-event.ts'

/** What an agent left in `outputs/` in a turn, on its way into the change that ends the turn. */
export interface TurnOutputs {
  /** The decision with what was left, if it ends the turn: both are written or neither. */
  with(decision: Decision, at: number): Decision
  /** Behind the change: what was copied and belongs to nobody is removed. */
  settle(): Promise<void>
}

/** Milliseconds that the end of a turn is kept up; and of one that was cut off, where more than it wait. */
const MAX_MS = 60_000
const MAX_CUT_MS = 15_000

export const NO_OUTPUTS: TurnOutputs = { with: (decision) => decision, settle: async () => undefined }

/** Whether what an agent leaves is kept: by itself only where the workdir is the session's own. */
export const keepsOutputs = ({ options }: Pick<SessionRow, 'options'>): boolean =>
  options.outputs === 'on' || (options.outputs !== 'off' && options.ownWorkdir)

/**
 * Looks through `outputs/` at the end of a turn. A server that dies before the change is written leaves copies that the
 * next one removes, and the turn, or what follows it, is looked through again: a file is kept once. A turn that waits
 * for an answer has not ended. What there is no time for is left to the next turn. Never rejects.
 */
export async function turnOutputs(
  context: SessionContext,
  session: SessionRow,
  turnId: string,
  how: 'ended' | 'parked' | 'cut',
  ending: AbortSignal | null,
): Promise<TurnOutputs> {
  const { store, files } = context
  if (how === 'parked' || !keepsOutputs(session)) return NO_OUTPUTS
  const patience = AbortSignal.timeout(how === 'cut' ? MAX_CUT_MS : MAX_MS)
  const signal = ending && how !== 'cut' ? AbortSignal.any([ending, patience]) : patience
  const { id: sessionId, workspaceId, cwd } = session
  const place = { sessionId, workspaceId, turnId, cwd }
  // A store that cannot be read now is looked at again by the next turn.
  const collected = await collectOutputs(files, store.outputs, place, signal).catch(() => null)
  if (!collected) return NO_OUTPUTS
  return {
    with: (decision, at) => {
      const ends = decision.turns?.some(({ id, patch }) => id === turnId && patch.endedAt != null)
      return ends ? mergeDecisions(kept(turnId, collected, at), decision) : decision
    },
    settle: () =>
      removeUnneeded(
        files,
        collected.change.files.map(({ id }) => id),
      ),
  }
}

function kept(turnId: string, { change, failed }: Collected, at: number): Decision {
  const files = change.files.map(fileToWire)
  const told = newEvent('session.files_persisted', turnId, at, {
    files,
    failed: failed.map(({ path, problem }) => ({ path, filename: path.split('/').at(-1)!, error: problem })),
  })
  return {
    outputs: change,
    ...(files.length + failed.length > 0 && { events: [told] }),
    ...(files.length > 0 && { turns: [{ id: turnId, patch: { files } }] }),
  }
}

const fileToWire = ({ id, filename, path, mimeType, sizeBytes }: FileRow) => ({
  file_id: id,
  filename,
  path: path ?? filename,
  mime_type: mimeType,
  size_bytes: sizeBytes,
})
