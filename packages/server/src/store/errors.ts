/** Another run has taken the session over; the caller must stop its agent. */
export class StaleEpoch extends Error {
  override readonly name = 'StaleEpoch'
}

/** The session changed since it was read; read again and decide again. */
export class VersionConflict extends Error {
  override readonly name = 'VersionConflict'
}

/** The session (or its row) is gone. */
export class NoSuchSession extends Error {
  override readonly name = 'NoSuchSession'
}

/** Another session holds that `external_id`. */
export class ExternalIdTaken extends Error {
  override readonly name = 'ExternalIdTaken'
}

/** As many sessions wait as may; nothing of the change was written. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull'
}

/** The store could not take the change (disk full, locked, failing); nothing of it was written. */
export class StorageUnavailable extends Error {
  override readonly name = 'StorageUnavailable'
  readonly reason: 'disk_full' | 'locked' | 'io'
  constructor(reason: 'disk_full' | 'locked' | 'io', cause: unknown) {
    super(`the store cannot be written (${reason})`, { cause })
    this.reason = reason
  }
}
