// Member sync: what the sync of segments asks of the engine. It appends bulk entries, keeps the members of synced segments,
// and removes erased users from them (sync.md).

import type { CheckedEntry } from '../../entry/entry';
import { memberKeyOfEntry } from '../../entry/member-key';
import type { Source } from '../../queue/store';
import type { SyncStore } from '../../queue/sync-store';
import type { EngineParts } from '../engine-parts';
import type { MessageEnd } from '../pending-messages';
import type { Submission } from '../submission';
import type { OnBegin } from '../respond/deleter';
import type { Deleted, Erased } from '../respond/deletions';
import type { BulkListener } from './bulk-entries';
import { erasureNode } from './suppressions';
import { memberKeysOf, removalsOf, type SegmentUser } from './erased-members';

/** Bulk entries of one segment, which are appended together or not at all. */
export interface Chunk {
  /** The node that reports, and the account that sends. */
  readonly source: Source;
  readonly segment: string;
  /** Each has one block, of this segment. */
  readonly entries: readonly CheckedEntry[];
  /** Whether they only renew memberships: then they never replace an older entry, nor bring back what changed. */
  readonly refresh: boolean;
  /** The state of the sync that is written with them; null leaves it as it is. */
  readonly state: string | null;
  /** Result of `beginRead` before the read of which they were made. */
  readonly readSince: number;
}

/** A chunk was not appended. `queue_full`: append it again later. */
class NotAppended extends Error {
  readonly code: string;

  constructor({ code, message }: Extract<MessageEnd, { kind: 'failed' }>) {
    super(message);
    this.code = code;
  }
}

export class MemberSync {
  /** Suppressed users whom the service has, or may have, in a segment again. */
  private readonly leaving: SegmentUser[] = [];

  constructor(
    readonly store: SyncStore,
    private readonly parts: EngineParts,
    /** Resolves once the queue is open; until then calls of the store reject. Rejects if it is closed before. */
    readonly opened: Promise<void>,
    private readonly submit: (submission: Submission) => void,
  ) {
    this.parts.members.onSuppressed = (segment, memberKey) => {
      if (this.leaving.length === 0) this.parts.clock.endOfTurn(() => this.removeLeaving());
      this.leaving.push({ segment, memberKey });
    };
  }

  // ── Bulk entries ────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Resolves once the chunk is durable, with its state. Rejects with NotAppended, and has then changed nothing. How its
   * entries end comes by `onEnded`.
   */
  append({ source, segment, entries, refresh, state, readSince }: Chunk): Promise<void> {
    if (entries.length === 0)
      return state === null ? Promise.resolve() : this.store.setState({ segment, text: state });
    const marked = refresh ? entries.map((entry) => ({ ...entry, refresh })) : entries;
    return this.appended({ source, entries: marked, bulk: { segment, state, readSince } });
  }

  private async appended(chunk: Required<Pick<Submission, 'source' | 'entries' | 'bulk'>>): Promise<void> {
    const { bulkEntries } = this.parts;
    const { segment } = chunk.bulk;
    // Before any of them can end.
    bulkEntries.add(segment, chunk.entries.length);
    try {
      await this.submitted(chunk);
    } catch (error) {
      bulkEntries.add(segment, -chunk.entries.length);
      throw error;
    }
  }

  /** Bulk entries of a segment that have not ended. */
  pending(segment: string): number {
    return this.parts.bulkEntries.of(segment);
  }

  /** Called after commits in which bulk entries of the segment ended. One listener for each segment. */
  onEnded(segment: string, listener: BulkListener): () => void {
    return this.parts.bulkEntries.listen(segment, listener);
  }

  /** Call before a read of members of which a chunk is made, for `Chunk.readSince`. */
  beginRead(): number {
    return this.parts.changedMembers.beginRead();
  }

  /** Call once the chunk of that read is appended, or dropped. */
  endRead(readSince: number): void {
    this.parts.changedMembers.endRead(readSince);
  }

  // ── Segments ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Starts to keep the members of a segment. Does nothing if they are kept already. */
  async keep(segment: string): Promise<void> {
    await this.opened;
    // Before the call, so that every commit after it has the members.
    this.parts.members.keep(segment);
    await this.store.keep(segment);
  }

  /** Drops everything that is known of a segment. */
  async forget(segment: string): Promise<void> {
    this.parts.members.forget(segment);
    await this.store.forget(segment);
  }

  // ── Erased users ────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Erases a user with `erase`, which covers everything that was submitted before. If a synced segment has the user, or may
   * have, also removes the user from every synced segment, and suppresses later adds.
   */
  async erase(
    userKeys: readonly string[],
    userId: string,
    erase: (onBegin: OnBegin) => Promise<Deleted>,
  ): Promise<Erased> {
    const begun = Promise.withResolvers<readonly SegmentUser[]>();
    const ended = erase((throughSeq) => begun.resolve(this.sentAdds(userKeys, throughSeq)));
    ended.catch(begun.reject);
    // Once it has begun, so that a process that dies during a long erasure leaves the user suppressed.
    const removed = begun.promise.then((sent) => this.removeErased(userKeys, userId, sent));
    const [erased, segments] = await Promise.all([ended, removed]);
    // After the erasure, so that what it covers has ended as erased.
    if (segments > 0) this.parts.deleter.endAdds(userKeys);
    return { ...erased, segments };
  }

  /** Adds to synced segments that the service may have, although no table says so: in flight, or without a reply. */
  private sentAdds(userKeys: readonly string[], throughSeq: number): readonly SegmentUser[] {
    const { pendingUsers, members } = this.parts;
    const entries = userKeys.flatMap((key) => pendingUsers.find(key)?.entries ?? []);
    return entries
      .filter(({ seq }) => seq <= throughSeq)
      .flatMap(({ blocks }) => blocks)
      .filter(({ state, mayHaveRun }) => state === 'inFlight' || (state !== 'ended' && mayHaveRun))
      .filter(({ segBlock: { key, expiration } }) => expiration !== -1 && members.keeps(key))
      .map(({ segBlock, entry }) => ({ segment: segBlock.key, memberKey: memberKeyOfEntry(entry.checked) }));
  }

  /** Resolves to the number of segments that had the user, or may have. */
  private async removeErased(
    userKeys: readonly string[],
    userId: string,
    sent: readonly SegmentUser[],
  ): Promise<number> {
    const { members, suppressions, store } = this.parts;
    const memberKeys = memberKeysOf(userKeys, userId);
    const known = members.any ? [...sent, ...(await this.store.segmentsOf(memberKeys))] : [];
    if (known.length === 0) return 0;
    await suppressions.add(store, this.store, [...new Set(known.map(({ memberKey }) => memberKey))]);
    // Once more, since an add may have been accepted before the user was suppressed.
    const found = [...known, ...(await this.store.segmentsOf(memberKeys))];
    await this.remove(found);
    return new Set(found.map(({ segment }) => segment)).size;
  }

  /** Removes users from segments. Resolves once this is queued. */
  private async remove(found: readonly SegmentUser[]): Promise<void> {
    const [account = ''] = this.parts.logins.accounts();
    await this.submitted({ source: { node: erasureNode, account }, entries: removalsOf(found) });
  }

  /** If it fails, the next run removes the users: the members are stored as erased. */
  private removeLeaving(): void {
    this.remove(this.leaving.splice(0)).catch(() => undefined);
  }

  suppressions(): ReturnType<SyncStore['suppressions']> {
    return this.store.suppressions();
  }

  lift(hashes: readonly string[]): Promise<void> {
    return this.parts.suppressions.lift(this.store, hashes);
  }

  /** Resolves to the number of suppressions that it lifted. */
  async liftUser(userKeys: readonly string[]): Promise<number> {
    const hashes = this.parts.suppressions.of(userKeys);
    await this.lift(hashes);
    return hashes.length;
  }

  private submitted(submission: Pick<Submission, 'source' | 'entries' | 'bulk'>): Promise<void> {
    return new Promise((resolve, reject) => {
      const onEnd = (end: MessageEnd): void => {
        if (end.kind === 'failed') reject(new NotAppended(end));
        else resolve();
      };
      this.submit({ ...submission, indexes: null, completeOn: 'queued', onEnd });
    });
  }
}
