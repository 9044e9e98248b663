/** How much a round of chaos does at once. */
export const WORKERS = 6
export const READERS = 4
export const SLOTS = 3
/** Sessions at work beyond which the workers only read, so that the end comes soon. */
export const MAX_OPEN = 20
