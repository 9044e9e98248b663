/** The part of the store's contract that is about the SDK's own records of conversations. */
export interface TranscriptStore {
  /**
   * Appends entries, each uuid once. With a `generation` that is not the session's number of rewinds any more nothing is
   * written: who was started before the conversation was set back has no part in it.
   */
  appendTranscript(
    sessionId: string,
    subpath: string,
    entries: { uuid: string | null; body: string }[],
    generation?: number | null,
  ): Promise<void>
  loadTranscript(sessionId: string, subpath: string): Promise<string[]>
  /** Whether there is a transcript to resume from. */
  hasTranscript(sessionId: string): Promise<boolean>
  listTranscripts(sessionId: string): Promise<string[]>
  /** Whether the transcript has an entry with this uuid. */
  transcriptHas(sessionId: string, uuid: string): Promise<boolean>
}
