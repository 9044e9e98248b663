/** What stops each part that was started, in the order of their start. */
export type Undo = (() => Promise<void> | void)[]

/** Stops what was started, the last of it first. */
export async function stopAll(undo: Undo): Promise<void> {
  for (const step of undo.splice(0).toReversed()) await step()
}
