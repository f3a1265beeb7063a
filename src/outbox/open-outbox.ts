// The durable outbox of this machine.

import type { Outbox } from './outbox';
import { SqliteOutbox, type SqliteOutboxOptions } from './sqlite-outbox';

/** A store in the file at `path`, which its `open` makes if there is none. */
export function openDurableOutbox(path: string, options: SqliteOutboxOptions = {}): Outbox {
  return new SqliteOutbox(path, options);
}
