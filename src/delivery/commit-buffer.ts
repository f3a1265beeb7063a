// What the next commit of the store will say; kept for the one after when a commit fails.
//
// A queue in memory needs its store only for entries that are not in memory (promise 5). So its commits have only cold rows and what
// becomes of rows up to the last cold one, and most turns have no commit.

import type { Commit, InFlightRecord, NewRow } from '../queue/store';
import type { MemberChange, SyncState } from '../queue/sync-store';

export class CommitBuffer {
  private append: NewRow[] = [];
  private removed: number[] = [];
  private repeated = new Set<number>();
  private begun: InFlightRecord[] = [];
  private settled: number[] = [];
  private unknownPosts: { post: number; untilWallMs: number }[] = [];
  private members: MemberChange[] = [];
  private syncStates: SyncState[] = [];
  /** No row with a higher number is in the store. */
  private storedThrough: number;

  constructor(private readonly durable: boolean) {
    this.storedThrough = durable ? Infinity : 0;
  }

  appended(row: NewRow): void {
    if (!this.durable) {
      if (row.cold !== true) return;
      this.storedThrough = row.seq;
    }
    this.append.push(row);
  }

  /** What becomes of a row that has ended: it is removed, or kept to be sent again. None is kept after it was removed. */
  mark(seq: number, mark: 'remove' | 'repeat'): void {
    if (seq > this.storedThrough) return;
    if (mark === 'repeat') {
      this.repeated.add(seq);
      return;
    }
    this.repeated.delete(seq);
    this.removed.push(seq);
  }

  begin(mark: InFlightRecord): void {
    if (this.durable) this.begun.push(mark);
  }

  settle(post: number): void {
    if (this.durable) this.settled.push(post);
  }

  unknown(post: number, untilWallMs: number): void {
    if (this.durable) this.unknownPosts.push({ post, untilWallMs });
  }

  /** Tells the store nothing, but shows whether it works: no post has this number. */
  probe(): void {
    this.settled.push(0);
  }

  /** The service has accepted, or rejected, what this says of a synced segment. */
  member(change: MemberChange): void {
    this.members.push(change);
  }

  /** Of the sync whose rows are appended. */
  syncState(state: SyncState): void {
    this.syncStates.push(state);
  }

  /** Whether there is nothing to say. */
  get isEmpty(): boolean {
    const { append, removed, repeated, begun, settled, unknownPosts, members, syncStates } = this;
    const lists = [append, removed, begun, settled, unknownPosts, members, syncStates];
    return repeated.size === 0 && lists.every(({ length }) => length === 0);
  }

  /** Everything since the last `take`, or null when there is nothing to say. */
  take(): Commit | null {
    const commit: Commit = {
      ...(this.append.length > 0 && { append: this.append }),
      ...(this.removed.length > 0 && { remove: this.removed }),
      ...(this.repeated.size > 0 && { repeat: [...this.repeated] }),
      ...(this.begun.length > 0 && { begin: this.begun }),
      ...(this.settled.length > 0 && { settle: this.settled }),
      ...(this.unknownPosts.length > 0 && { unknown: this.unknownPosts }),
      ...(this.members.length > 0 && { members: this.members }),
      ...(this.syncStates.length > 0 && { syncStates: this.syncStates }),
    };
    if (Object.keys(commit).length === 0) return null;
    this.append = [];
    this.removed = [];
    this.repeated = new Set();
    this.begun = [];
    this.settled = [];
    this.unknownPosts = [];
    this.members = [];
    this.syncStates = [];
    return commit;
  }

  /** A commit failed: its ends must still be said, its new rows and departures are the caller's to refuse. */
  putBack(commit: Commit): void {
    this.removed = [...(commit.remove ?? []), ...this.removed];
    this.repeated = new Set([...(commit.repeat ?? []), ...this.repeated]);
    for (const seq of this.removed) this.repeated.delete(seq);
    this.settled = [...(commit.settle ?? []), ...this.settled];
    this.unknownPosts = [...(commit.unknown ?? []), ...this.unknownPosts];
    this.members = [...(commit.members ?? []), ...this.members];
  }
}
