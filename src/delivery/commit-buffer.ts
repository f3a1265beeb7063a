// What the next commit of the store will say; kept for the one after when a commit fails.

import type { Commit, InFlightRecord, NewRow } from '../queue/store';

/** What becomes of a row that has ended. Of several words about one row the last counts; none follows `remove`. */
type Mark = 'remove' | 'tombstone' | 'repeat';

export class CommitBuffer {
  private append: NewRow[] = [];
  private removed: number[] = [];
  private marks = new Map<number, Exclude<Mark, 'remove'>>();
  private begun: InFlightRecord[] = [];
  private settled: number[] = [];
  private unknownPosts: { post: number; untilWallMs: number }[] = [];
  private tombstoneFloor = 0;

  appended(row: NewRow): void {
    this.append.push(row);
  }

  mark(seq: number, mark: Mark): void {
    if (mark !== 'remove') {
      this.marks.set(seq, mark);
      return;
    }
    if (this.marks.size > 0) this.marks.delete(seq);
    this.removed.push(seq);
  }

  begin(mark: InFlightRecord): void {
    this.begun.push(mark);
  }

  settle(post: number): void {
    this.settled.push(post);
  }

  unknown(post: number, untilWallMs: number): void {
    this.unknownPosts.push({ post, untilWallMs });
  }

  dropTombstonesThrough(seq: number): void {
    this.tombstoneFloor = Math.max(this.tombstoneFloor, seq);
  }

  /** Everything since the last `take`, or null when there is nothing to say. */
  take(): Commit | null {
    const marked = { tombstone: [] as number[], repeat: [] as number[] };
    this.marks.forEach((mark, seq) => marked[mark].push(seq));
    const commit: Commit = {
      ...(this.append.length > 0 && { append: this.append }),
      ...(this.removed.length > 0 && { remove: this.removed }),
      ...(marked.tombstone.length > 0 && { tombstone: marked.tombstone }),
      ...(marked.repeat.length > 0 && { repeat: marked.repeat }),
      ...(this.begun.length > 0 && { begin: this.begun }),
      ...(this.settled.length > 0 && { settle: this.settled }),
      ...(this.unknownPosts.length > 0 && { unknown: this.unknownPosts }),
      ...(this.tombstoneFloor > 0 && { dropTombstonesThrough: this.tombstoneFloor }),
    };
    if (Object.keys(commit).length === 0) return null;
    this.append = [];
    this.removed = [];
    this.marks = new Map();
    this.begun = [];
    this.settled = [];
    this.unknownPosts = [];
    this.tombstoneFloor = 0;
    return commit;
  }

  /** A commit failed: its ends must still be said, its new rows and departures are the caller's to refuse. */
  putBack(commit: Commit): void {
    const later = this.marks;
    this.marks = new Map();
    this.removed = [...(commit.remove ?? []), ...this.removed];
    for (const mark of ['tombstone', 'repeat'] as const) {
      for (const seq of commit[mark] ?? []) this.marks.set(seq, mark);
    }
    for (const [seq, mark] of later) this.marks.set(seq, mark);
    for (const seq of this.removed) this.marks.delete(seq);
    this.settled = [...(commit.settle ?? []), ...this.settled];
    this.unknownPosts = [...(commit.unknown ?? []), ...this.unknownPosts];
    this.tombstoneFloor = Math.max(this.tombstoneFloor, commit.dropTombstonesThrough ?? 0);
  }
}
