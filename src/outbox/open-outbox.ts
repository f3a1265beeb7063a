// The durable outbox of this machine, if it can have one.

import type { Outbox } from './outbox';
import { sqliteModule } from './sqlite-module';
import { SqliteOutbox, type SqliteOutboxOptions } from './sqlite-outbox';

/**
 * A store in the file at `path`, which its `open` makes if there is none. Throws an OutboxError `unavailable` where
 * Node has no SQLite; the caller then queues in memory, and says so.
 */
export function openDurableOutbox(path: string, options: SqliteOutboxOptions = {}): Outbox {
  sqliteModule();
  return new SqliteOutbox(path, options);
}
