// User table: the users in memory, by their keys and in the order in which they came.
//
// Not a Map: when one whose keys come and go is full, V8 moves its content to a new table, to which the old one points. Once an
// old table is in the old generation, everything that ever came after it survives until the next full collection
// (performance.md). Here a user that has gone points to no other.

import { hashUserKey } from '../../entry/keys';

/** A user, with its place in the table. */
export interface Placed<U> {
  readonly key: string;
  /** Of its key (`hashUserKey`). */
  readonly hash: number;
  /** The next one in the same bucket. */
  chained: U | null;
  /** Those that came right before and right after. */
  before: U | null;
  after: U | null;
}

const fewestBuckets = 64;

export class UserTable<U extends Placed<U>> {
  private buckets = emptyBuckets<U>(fewestBuckets);
  private oldest: U | null = null;
  private newest: U | null = null;
  private count = 0;

  find(key: string, hash = hashUserKey(key)): U | undefined {
    let user = this.buckets[this.bucketOf(hash)] ?? null;
    while (user !== null && (user.hash !== hash || user.key !== key)) user = user.chained;
    return user ?? undefined;
  }

  /** Adds a user whose key is not in the table. */
  add(user: U): void {
    this.count += 1;
    user.before = this.newest;
    if (this.newest === null) this.oldest = user;
    else this.newest.after = user;
    this.newest = user;
    if (this.count > this.buckets.length) this.resize(2 * this.buckets.length);
    else this.chain(user);
  }

  /** Does nothing if the user is not in the table. */
  delete(user: U): void {
    if (!this.unchain(user)) return;
    this.count -= 1;
    const { before, after } = user;
    if (before === null) this.oldest = after;
    else before.after = after;
    if (after === null) this.newest = before;
    else after.before = before;
    user.before = null;
    user.after = null;
    if (this.buckets.length > fewestBuckets && this.count * 8 < this.buckets.length)
      this.resize(this.buckets.length / 2);
  }

  /** Oldest first. Not to be changed meanwhile. */
  *[Symbol.iterator](): Generator<U> {
    for (let user = this.oldest; user !== null; user = user.after) yield user;
  }

  /** The buckets are a power of two. */
  private bucketOf(hash: number): number {
    return hash & (this.buckets.length - 1);
  }

  private chain(user: U): void {
    const bucket = this.bucketOf(user.hash);
    user.chained = this.buckets[bucket] ?? null;
    this.buckets[bucket] = user;
  }

  private unchain(user: U): boolean {
    const bucket = this.bucketOf(user.hash);
    let previous: U | null = null;
    let found = this.buckets[bucket] ?? null;
    while (found !== null && found !== user) {
      previous = found;
      found = found.chained;
    }
    if (found === null) return false;
    if (previous === null) this.buckets[bucket] = user.chained;
    else previous.chained = user.chained;
    user.chained = null;
    return true;
  }

  private resize(buckets: number): void {
    // Emptied, since it may be in the old generation already.
    this.buckets.fill(null);
    this.buckets = emptyBuckets(buckets);
    for (const user of this) this.chain(user);
  }
}

function emptyBuckets<U>(count: number): (U | null)[] {
  return new Array<U | null>(count).fill(null);
}
