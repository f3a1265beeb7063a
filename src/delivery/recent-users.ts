// Whose entries a queue took since it was opened, so that an older entry from another queue never goes after a newer one.

import type { CheckedEntry } from '../audience/entry';
import { hashUserKey } from '../audience/keys';
import type { Row } from '../outbox/outbox';

/** Some megabytes. A queue that took more users can no longer tell. */
const mostUsers = 50_000;

export class RecentUsers {
  private hashes: Set<number> | null = new Set();

  /** @param sinceWallMs epoch ms: what the queue took before is not known */
  constructor(private sinceWallMs: number) {}

  /** Nothing was taken before either. */
  isNew(): void {
    this.sinceWallMs = -Infinity;
  }

  took(entries: readonly CheckedEntry[]): void {
    if (this.hashes === null) return;
    for (const { userKey } of entries) this.hashes.add(hashUserKey(userKey));
    if (this.hashes.size > mostUsers) this.hashes = null;
  }

  /** Whether nothing newer of the row's user can have been taken. */
  allows({ userHash, takenWallMs }: Pick<Row, 'userHash' | 'takenWallMs'>): boolean {
    return this.hashes !== null && takenWallMs >= this.sinceWallMs && !this.hashes.has(userHash);
  }
}
