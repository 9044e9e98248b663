/** Who asks, as far as rows, shares and limits need to know it. */
export interface Caller {
  /** The key that asks: what idempotency keys, places in the line and the ledger are counted under. */
  principal: string
  /** Nothing of another workspace is seen or touched. */
  workspaceId: string
}

/** The workspace of whoever asks without a key, and of all that was made before there were workspaces. */
export const DEFAULT_WORKSPACE = 'wrkspc_default'

/** Who asks without a key. */
export const LOCAL_CALLER: Caller = { principal: 'local', workspaceId: DEFAULT_WORKSPACE }
