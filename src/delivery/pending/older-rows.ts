// Older rows of users in memory that are only in the store: read by user, so that a newer entry does not leave before
// older ones are known to be covered by it, or to go first (promise 2).
//
// A lane is read in order. So when an entry comes into memory, older unread rows of its user are only in other lanes:
// typically adds in a backlog on disk, when a removal comes. Every older row of the user is then read, as many at a time as
// memory allows. Until they are in memory, ended entries that are newer stay there (see PendingUsers.forget).
//
// An earlier process may have delivered a newer row, too: of a row to repeat, or of a user in a request without a stored reply. The newer
// rows that it left are read in the same way, so that an older row does not undo them.

import { lanes, type Lane, type QueueStore, type Row, type UserRange } from '../../queue/store';
import type { User } from './user';

/** Which rows are unread: see ReadAhead. */
interface Unread {
  hasUnreadIn(lane: Lane, throughSeq: number): boolean;
  hasUnreadThrough(seq: number): boolean;
  readonly readThroughSeq: number;
}

interface Lookup {
  readonly user: User;
  /** Every row up to `afterSeq` is in memory or has ended; those up to `throughSeq` must be. */
  afterSeq: number;
  throughSeq: number;
  /** An entry of the user is not sent before the first rows are read, since it may cover them or go with them. */
  holds: boolean;
  /** Nor before every row up to this number is read, as long as there is room for them. */
  holdsThroughSeq: number;
  /** Rows up to this one end as soon as they are read, so that they need no memory. */
  erasesThroughSeq: number;
}

interface Found {
  readonly lookup: Lookup;
  readonly range: UserRange;
  readonly rows: readonly Row[];
}

/** Rows of some users, for the next turn. */
export interface OlderRowsRead {
  readonly kind: 'older';
  /** Most rows of each user: with fewer, the user has no more. */
  readonly limit: number;
  readonly found: readonly Found[];
}

/** Rows of one user that are read at once, and of all users of a call. */
const rowsPerRead = 1_000;
const rowsPerCall = 20_000;
/** A user with more entries in memory that have not ended waits until some of them have. */
const mostUnended = 1_000;
/** Sequence numbers that one call may span, summed over its users: at most the work of some ten milliseconds. */
const seqsPerCall = 2 ** 26;
const usersPerCall = 100;

export class OlderRows {
  /** Of users in memory. */
  private readonly lookups = new Map<User, Lookup>();
  /** Those to be read next, in order. */
  private readonly erasures = new Set<Lookup>();
  /** Of users with a removal, which go before the others (promise 7). */
  private readonly removals = new Set<Lookup>();
  private readonly others = new Set<Lookup>();
  private reading = false;
  private calls = 0;

  constructor(
    private readonly store: QueueStore,
    private readonly readAhead: Unread,
  ) {}

  /** An entry of the user has come into memory: its older rows must follow. */
  need(user: User, lane: Lane, seq: number): void {
    for (const other of lanes) {
      if (other === lane || !this.readAhead.hasUnreadIn(other, seq - 1)) continue;
      this.ask(user, seq - 1);
      return;
    }
  }

  /** An earlier process may have delivered rows of the user up to this one: none leaves before all of them are read. */
  needNewer(user: User, throughSeq: number): void {
    if (!this.readAhead.hasUnreadThrough(throughSeq)) return;
    const lookup = this.ask(user, throughSeq);
    lookup.holdsThroughSeq = Math.max(lookup.holdsThroughSeq, throughSeq);
  }

  /** Every row of the user up to this one is to be erased. */
  erase(user: User, throughSeq: number): void {
    if (this.readAhead.hasUnreadThrough(throughSeq)) this.ask(user, throughSeq, throughSeq);
  }

  private ask(user: User, throughSeq: number, erasesThroughSeq = 0): Lookup {
    const lookup = this.lookups.get(user) ?? {
      ...{ user, afterSeq: 0, throughSeq: 0, erasesThroughSeq: 0 },
      ...{ holds: true, holdsThroughSeq: 0 },
    };
    this.lookups.set(user, lookup);
    // An earlier lookup did not cover the rows that are needed now.
    if (this.isOver(lookup)) lookup.holds = true;
    lookup.throughSeq = Math.max(lookup.throughSeq, throughSeq);
    lookup.erasesThroughSeq = Math.max(lookup.erasesThroughSeq, erasesThroughSeq);
    if (!this.isOver(lookup) && this.hasRoom(lookup)) this.enqueue(lookup);
    return lookup;
  }

  private enqueue(lookup: Lookup): void {
    // A user keeps its place when its removal has ended.
    const removes = lookup.user.removes || this.removals.has(lookup);
    const queue = erases(lookup) ? this.erasures : removes ? this.removals : this.others;
    if (queue.has(lookup)) return;
    this.dequeue(lookup);
    queue.add(lookup);
  }

  private dequeue(lookup: Lookup): void {
    for (const queue of [this.erasures, this.removals, this.others]) queue.delete(lookup);
  }

  /** Whether the user must not be sent yet. */
  holds(user: User): boolean {
    const lookup = this.lookups.size === 0 ? undefined : this.lookups.get(user);
    if (lookup === undefined || this.isComplete(user)) return false;
    return lookup.holds || (lookup.afterSeq < lookup.holdsThroughSeq && this.hasRoom(lookup));
  }

  /** Whether no older row of the user's entries is only in the store. */
  isComplete(user: User): boolean {
    return this.completeThroughSeq(user) === Infinity;
  }

  /** No row of the user up to this number is only in the store, as far as its entries in memory need older ones. */
  completeThroughSeq(user: User): number {
    const lookup = this.lookups.size === 0 ? undefined : this.lookups.get(user);
    return lookup === undefined || this.isOver(lookup) ? Infinity : lookup.afterSeq;
  }

  private isOver({ afterSeq, throughSeq }: Lookup): boolean {
    return afterSeq >= throughSeq || !this.readAhead.hasUnreadThrough(throughSeq);
  }

  /** Entries of the user have ended: it may have room for more. */
  goOn(user: User): void {
    const lookup = this.lookups.size === 0 ? undefined : this.lookups.get(user);
    if (lookup !== undefined && !this.isOver(lookup) && this.hasRoom(lookup)) this.enqueue(lookup);
  }

  /** Ended entries do not count, because they may stay until every older row is read. */
  private hasRoom(lookup: Lookup): boolean {
    return lookup.holds || erases(lookup) || lookup.user.unended < mostUnended;
  }

  /** The user is no longer in memory. */
  forget(user: User): void {
    const lookup = this.lookups.size === 0 ? undefined : this.lookups.get(user);
    if (lookup === undefined) return;
    this.lookups.delete(user);
    this.dequeue(lookup);
  }

  /**
   * Starts the next read. Call when every end so far is committed, so that no ended row is found. `mostUsers`: limit on
   * the users whose rows need memory.
   */
  request(arrived: (read: OlderRowsRead) => void, failed: (error: unknown) => void, mostUsers: number): void {
    if (this.reading) return;
    const lookups = this.next(mostUsers);
    if (lookups.length === 0) return;
    this.calls += 1;
    const ranges = lookups.map(({ user, afterSeq, throughSeq }): UserRange => ({
      userHash: user.hash,
      afterSeq,
      throughSeq,
    }));
    const limit = Math.min(rowsPerRead, Math.floor(rowsPerCall / lookups.length));
    this.reading = true;
    this.store.rowsOfUsers(ranges, limit).then(
      (lists) => {
        const found = lookups.map((lookup, at) => ({ lookup, range: ranges[at]!, rows: lists[at]! }));
        arrived({ kind: 'older', limit, found });
      },
      (error: unknown) => {
        this.reading = false;
        for (const lookup of lookups) if (this.isWanted(lookup)) this.enqueue(lookup);
        failed(error);
      },
    );
  }

  private next(mostUsers: number): Lookup[] {
    const { erasures, removals, others } = this;
    // As everywhere, a flood of removals leaves the others a fifth.
    const inOrder = this.calls % 5 === 4 ? [others, removals] : [removals, others];
    const lookups: Lookup[] = [];
    let [seqs, inMemory] = [0, 0];
    for (const queue of [erasures, ...inOrder])
      for (const lookup of queue) {
        if (lookups.length >= usersPerCall || seqs >= seqsPerCall) return lookups;
        if (queue !== erasures && inMemory >= mostUsers) return lookups;
        queue.delete(lookup);
        const readThroughSeq = Math.min(lookup.throughSeq, this.readAhead.readThroughSeq);
        lookup.afterSeq = Math.max(lookup.afterSeq, readThroughSeq);
        seqs += lookup.throughSeq - lookup.afterSeq;
        if (queue !== erasures) inMemory += 1;
        lookups.push(lookup);
      }
    return lookups;
  }

  /** The rows are in memory. Returns their users. */
  admitted({ limit, found }: OlderRowsRead): readonly User[] {
    this.reading = false;
    const users: User[] = [];
    for (const { lookup, range, rows } of found) {
      if (!this.isWanted(lookup)) continue;
      lookup.holds = false;
      lookup.afterSeq = rows.length < limit ? range.throughSeq : rows.at(-1)!.seq;
      if (!this.isOver(lookup) && this.hasRoom(lookup)) this.enqueue(lookup);
      users.push(lookup.user);
    }
    return users;
  }

  /** Whether the user is still in memory. */
  isWanted(lookup: Lookup): boolean {
    return this.lookups.get(lookup.user) === lookup;
  }
}

function erases({ afterSeq, erasesThroughSeq }: Lookup): boolean {
  return afterSeq < erasesThroughSeq;
}
