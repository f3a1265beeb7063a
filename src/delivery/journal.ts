// What the next commit of the outbox will say; kept for the one after when a commit fails.

import type { Commit, FlightMark, NewRow } from '../outbox/outbox';

export class Journal {
  private append: NewRow[] = [];
  private removed: number[] = [];
  private shielded: number[] = [];
  private repeated: number[] = [];
  private departs: FlightMark[] = [];
  private arrived: number[] = [];
  private lostPosts: { post: number; untilWallMs: number }[] = [];
  private shieldFloor = 0;

  appended(row: NewRow): void {
    this.append.push(row);
  }

  remove(seq: number): void {
    this.removed.push(seq);
  }

  shield(seq: number): void {
    this.shielded.push(seq);
  }

  repeat(seq: number): void {
    this.repeated.push(seq);
  }

  depart(mark: FlightMark): void {
    this.departs.push(mark);
  }

  arrive(post: number): void {
    this.arrived.push(post);
  }

  lose(post: number, untilWallMs: number): void {
    this.lostPosts.push({ post, untilWallMs });
  }

  dropShieldsThrough(seq: number): void {
    this.shieldFloor = Math.max(this.shieldFloor, seq);
  }

  /** Everything since the last `take`, or null when there is nothing to say. */
  take(): Commit | null {
    const commit: Commit = {
      ...(this.append.length > 0 && { append: this.append }),
      ...(this.removed.length > 0 && { remove: this.removed }),
      ...(this.shielded.length > 0 && { shield: this.shielded }),
      ...(this.repeated.length > 0 && { repeat: this.repeated }),
      ...(this.departs.length > 0 && { depart: this.departs }),
      ...(this.arrived.length > 0 && { arrive: this.arrived }),
      ...(this.lostPosts.length > 0 && { lost: this.lostPosts }),
      ...(this.shieldFloor > 0 && { dropShieldsThrough: this.shieldFloor }),
    };
    if (Object.keys(commit).length === 0) return null;
    this.append = [];
    this.removed = [];
    this.shielded = [];
    this.repeated = [];
    this.departs = [];
    this.arrived = [];
    this.lostPosts = [];
    this.shieldFloor = 0;
    return commit;
  }

  /** A commit failed: its ends must still be said, its new rows and departures are the caller's to refuse. */
  putBack(commit: Commit): void {
    this.removed.unshift(...(commit.remove ?? []));
    this.shielded.unshift(...(commit.shield ?? []));
    this.repeated.unshift(...(commit.repeat ?? []));
    this.arrived.unshift(...(commit.arrive ?? []));
    this.lostPosts.unshift(...(commit.lost ?? []));
    this.shieldFloor = Math.max(this.shieldFloor, commit.dropShieldsThrough ?? 0);
  }
}
