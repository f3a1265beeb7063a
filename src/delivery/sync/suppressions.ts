// Suppressed users: erased, so no add of theirs is accepted any more, whoever sends it (sync.md, "Erasure").

import {
  newSuppressionKey,
  suppressionHashOf,
  suppressionHashOfMember,
  suppressionKeyNote,
} from '../../queue/suppression';
import type { QueueStore } from '../../queue/store';
import type { SyncStore } from '../../queue/sync-store';

/** Node of the removals of erased users. */
export const erasureNode = 'erasure';

/** Code of a rejection. */
export const suppressedCode = 'suppressed';

export const suppressedText =
  'This user was erased and is suppressed, so no segment gets this user any more.';

export class Suppressions {
  private key = '';
  private readonly hashes = new Set<string>();

  get any(): boolean {
    return this.hashes.size > 0;
  }

  has(userKey: string): boolean {
    return this.hashes.size > 0 && this.hashes.has(suppressionHashOf(this.key, userKey));
  }

  /** Rejects as the store does. */
  async load(store: Pick<QueueStore, 'getMeta'>, sync: SyncStore): Promise<void> {
    this.key = (await store.getMeta(suppressionKeyNote)) ?? '';
    this.hashes.clear();
    for (const { hash } of await sync.suppressions()) this.hashes.add(hash);
  }

  /** Effective at once; durable when it resolves. */
  async add(
    store: Pick<QueueStore, 'setMeta'>,
    sync: SyncStore,
    memberKeys: readonly string[],
  ): Promise<void> {
    if (this.key === '') this.key = newSuppressionKey();
    const hashes = memberKeys.map((memberKey) => suppressionHashOfMember(this.key, memberKey));
    for (const hash of hashes) this.hashes.add(hash);
    // Every time, since an earlier write may have failed.
    await store.setMeta(suppressionKeyNote, this.key);
    await sync.suppress(hashes, memberKeys);
  }

  async lift(sync: SyncStore, hashes: readonly string[]): Promise<void> {
    await sync.liftSuppressions(hashes);
    for (const hash of hashes) this.hashes.delete(hash);
  }

  /** The hashes of those of the users who are suppressed. */
  of(userKeys: readonly string[]): readonly string[] {
    return userKeys
      .map((userKey) => suppressionHashOf(this.key, userKey))
      .filter((hash) => this.hashes.has(hash));
  }
}
