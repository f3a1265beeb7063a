// Entries of one user in memory: coalesces them, selects blocks for the next request, and remembers ended
// blocks as long as they matter.
//
// Pure: no clock, no store. The rules (promises 1, 2 and 8):
// - The newest block of each segment counts. It absorbs older blocks that were not sent, and they end with it.
// - Blocks by id and blocks by code may name the same segment, and so may two spellings of one user. Such groups
//   never share a request and are sent in the order of arrival. Within an entry blocks are grouped by kind.
// - An ended entry is remembered while an older one of the same user is open, because the older one may still be
//   sent and must not undo it.
//
// A user may have any number of entries, so the usual operations do not iterate over all of them (coalescing.ts,
// waiting-blocks.ts). Nearly every user has one entry with one block, which needs neither: it is all that the user has then.

import type { Lane } from '../../queue/store';
import { AmbiguousRequests } from './ambiguous';
import { Coalescing } from './coalescing';
import { wake } from './pending-entry';
import type { PendingBlock, PendingBlockState, PendingEntry, EntryOwner } from './pending-entry';
import type { Placed } from './user-table';
import { nobody, WaitingBlocks, type Held, type Selection } from './waiting-blocks';

/** Ready queue of an account, with the account's number of users. */
export interface ReadyQueue {
  readonly account: { size: number };
}

/** What only a user with several blocks needs. */
class SeveralBlocks {
  /** In the order of their sequence numbers. */
  entries: PendingEntry[] = [];
  /** Entries that have ended since the last look at them. */
  closed: PendingEntry[] = [];
  /** Number of waiting blocks, of those of bulk entries, and of the others whose entry has a removal. */
  waiting = 0;
  bulk = 0;
  removing = 0;
  /** Number of entries that have not ended. */
  unended = 0;
  readonly coalescing = new Coalescing();
  readonly waitingBlocks = new WaitingBlocks();

  /** Inserts an entry by sequence number. Returns whether it is the newest. */
  add(entry: PendingEntry): boolean {
    const { entries } = this;
    const last = entries.at(-1);
    const isNewest = last === undefined || last.seq <= entry.seq;
    if (isNewest) entries.push(entry);
    else entries.splice(placeIn(entries, entry.seq), 0, entry);
    if (entry.unended > 0) this.unended += 1;
    for (const block of entry.blocks) {
      if (block.state === 'waiting') this.count(block, 1);
      if (block.rejected) continue;
      this.coalescing.link(block);
      if (block.state === 'waiting') this.waitingBlocks.add(block);
    }
    return isNewest;
  }

  count(block: PendingBlock, by: 1 | -1): void {
    this.waiting += by;
    if (block.entry.bulk) this.bulk += by;
    else if (block.entry.checked.removes) this.removing += by;
  }
}

/** What failures and delays leave behind. */
export class Trouble {
  /** Failures in a row. */
  failures = 0;
  /** Monotonic ms before which the user is not sent (backoff). */
  notBeforeMs = 0;
  /** Monotonic ms of the delay that was scheduled last; 0 for none. */
  delayedUntilMs = 0;
  /** Limit on the blocks of the next request; halved when a body of this user alone was refused. Null for none. */
  blockLimit: number | null = null;
  /** Whether the user is in a bisection. */
  inBisection = false;
  /** Whether waiting adds end, as long as the user is suppressed. */
  endsAdds = false;
  /** Requests that ended without a reply and may still run. */
  ambiguous: AmbiguousRequests | null = null;
}

export class User implements EntryOwner, Placed<User> {
  /** Blocks of the request in flight, or null. */
  flight: readonly PendingBlock[] | null = null;
  /** The ready queue that holds this user; a stale position in another queue is skipped. */
  queue: ReadyQueue | null = null;
  /** Null while nothing has failed or was delayed. */
  trouble: Trouble | null = null;
  /** The only entry, if it has one block. */
  private only: PendingEntry | null = null;
  /** Null while the user has had only one block at a time. */
  private several: SeveralBlocks | null = null;
  chained: User | null = null;
  before: User | null = null;
  after: User | null = null;

  constructor(
    readonly key: string,
    readonly hash: number,
  ) {}

  /** The same as `trouble`, to note some. */
  troubled(): Trouble {
    return (this.trouble ??= new Trouble());
  }

  get inBisection(): boolean {
    return this.trouble?.inBisection === true;
  }

  // ── Entries come and go ─────────────────────────────────────────────────────────────────────────────────────

  /** In the order of their sequence numbers. */
  get entries(): readonly PendingEntry[] {
    if (this.several !== null) return this.several.entries;
    return this.only === null ? none : [this.only];
  }

  /** Whether the user has had several blocks at a time. */
  get hasSeveral(): boolean {
    return this.several !== null;
  }

  /** Adds an entry; rows read from disk may be older than entries in memory. */
  add(entry: PendingEntry): void {
    entry.owner = this;
    if (this.several === null && this.only === null && entry.isSingle) {
      this.only = entry;
      return;
    }
    this.several ??= this.severalBlocks();
    const isNewest = this.several.add(entry);
    if (!isNewest || entry.open === 0) this.several.coalescing.disturb();
  }

  private severalBlocks(): SeveralBlocks {
    const several = new SeveralBlocks();
    const { only } = this;
    this.only = null;
    if (only !== null) {
      several.add(only);
      if (only.open === 0) several.closed.push(only);
    }
    return several;
  }

  has(seq: number): boolean {
    const { entries } = this;
    return entries[placeIn(entries, seq) - 1]?.seq === seq;
  }

  /** Removes the entry that was added last and undoes its effects. Returns false when it is already removed. */
  undoAdd(entry: PendingEntry): boolean {
    if (this.entries.at(-1) !== entry) return false;
    if (this.several === null) this.only = null;
    else undoIn(this.several, entry);
    entry.owner = null;
    return true;
  }

  /** Removes and returns the settled entries before the first open one, up to a sequence number. */
  takeRetired(throughSeq = Infinity): readonly PendingEntry[] {
    const { several, only } = this;
    if (several === null && (only === null || only.seq > throughSeq || !only.done)) return none;
    const { entries } = this;
    let count = 0;
    for (; count < entries.length && entries[count]!.seq <= throughSeq && entries[count]!.done; count += 1)
      this.release(entries[count]!);
    if (count === 0) return none;
    if (count < entries.length) return several!.entries.splice(0, count);
    this.only = null;
    several?.waitingBlocks.clear();
    this.several = null;
    this.ambiguous?.due.splice(0);
    return entries;
  }

  /** Removes and returns covered entries at any position. Searches only when there are many entries. */
  takeCovered(): readonly PendingEntry[] {
    const { several } = this;
    if (several === null || several.entries.length < several.coalescing.coveredFrom) return none;
    const { coalescing } = several;
    const kept: PendingEntry[] = [];
    const covered: PendingEntry[] = [];
    for (const entry of several.entries)
      (entry.done && coalescing.covers(entry) ? covered : kept).push(entry);
    several.entries = kept;
    coalescing.searched(kept.length);
    for (const entry of covered) this.release(entry);
    return covered;
  }

  /** Removes and returns entries that changed nothing at the service, at any position. */
  takeRejected(): readonly PendingEntry[] {
    const rejected = this.entries.filter((entry) => entry.open === 0 && entry.allRejected);
    if (rejected.length === 0) return none;
    if (this.several === null) this.only = null;
    else this.several.entries = this.several.entries.filter((entry) => entry.open > 0 || !entry.allRejected);
    for (const entry of rejected) this.release(entry);
    return rejected;
  }

  private release(entry: PendingEntry): void {
    entry.owner = null;
    if (this.several !== null) for (const block of entry.blocks) this.several.coalescing.unlink(block);
  }

  /** Entries that have ended since the last call and are still held; also the only entry once more. */
  takeClosed(): readonly PendingEntry[] {
    const { several, only } = this;
    if (several === null) return only?.open === 0 ? [only] : none;
    if (several.closed.length === 0) return none;
    const closed = several.closed.filter((entry) => entry.owner === this);
    several.closed = [];
    return closed;
  }

  entryClosed(entry: PendingEntry): void {
    this.several?.closed.push(entry);
  }

  // ── Blocks change ───────────────────────────────────────────────────────────────────────────────────────────

  blockChanged(block: PendingBlock, before: PendingBlockState): void {
    const { several } = this;
    if (several === null) return;
    if (before === 'ended' && block.entry.unended === 1) several.unended += 1;
    if (block.state === 'ended' && block.entry.unended === 0) several.unended -= 1;
    if (before === 'waiting') {
      several.count(block, -1);
      block.queue?.left();
    }
    if (block.state === 'waiting') {
      several.count(block, 1);
      waitsAgain(several, block, before);
    } else if (block.state === 'ended') {
      if (block.rejected) several.coalescing.unlinkRejected(block);
      else several.coalescing.change(block);
    }
  }

  blockDue(block: PendingBlock): void {
    this.ambiguous?.due.push(block);
  }

  /** Whether a removal waits that is not bulk. */
  get removes(): boolean {
    if (this.several !== null) return this.several.removing > 0;
    return this.waits && this.only!.lane === 'removal';
  }

  /** Of the waiting blocks, those that go first choose it. */
  get lane(): Lane {
    if (this.removes) return 'removal';
    const isBulk = this.several === null ? this.only?.bulk : this.several.waiting === this.several.bulk;
    return isBulk === true ? 'bulk' : 'add';
  }

  get waits(): boolean {
    return this.several === null ? this.only?.state === 'waiting' : this.several.waiting > 0;
  }

  /** Number of entries that have not ended. */
  get unended(): number {
    return this.several?.unended ?? this.only?.unended ?? 0;
  }

  /**
   * Lets newer blocks absorb older waiting ones, and wakes ended blocks that an older block of the other kind
   * would undo. Returns the blocks that ended because a newer block had already ended. Does nothing while a
   * request is in flight, because its blocks may have to wait again.
   */
  merge(): readonly PendingBlock[] {
    return this.several === null || this.flight !== null ? none : this.several.coalescing.merge();
  }

  // ── The next request ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Selects the blocks of the next request: at most `limit`, of one kind, spelling and account, removals first;
   * in a bisection refused blocks come last. Returns null when no block can be sent. Call `merge` before.
   *
   * `login` returns the account whose login currently serves an entry's account, or null. `held` blocks stay,
   * and others of their kind may overtake them; they are sent when a removal of another kind waits behind them.
   */
  select(
    limit: number,
    login: (account: string) => string | null,
    nowMonoMs: number,
    held: Held = nobody,
  ): Selection | null {
    const { several, only } = this;
    if (several !== null) {
      const most = Math.min(limit, this.trouble?.blockLimit ?? limit);
      return several.waitingBlocks.select(most, login, nowMonoMs, held);
    }
    if (only?.state !== 'waiting' || held(only)) return null;
    const account = login(only.source.account);
    return account === null ? null : { blocks: only.blocks, account };
  }

  /** Account of the only block; null if the user `hasSeveral`, or has none. */
  get onlyAccount(): string | null {
    return this.only?.source.account ?? null;
  }

  /** Accounts of the blocks that the next request may take, of a user that `hasSeveral`; at least one if it `waits`. */
  nextAccounts(held: Held = nobody): readonly string[] {
    return this.several?.waitingBlocks.nextAccounts(held) ?? none;
  }

  /** Minimum of `until` over the blocks that may be sent next. Needs at least one waiting block. */
  freeAtMs(until: (block: PendingBlock) => number): number {
    return this.several === null ? until(this.only!) : this.several.waitingBlocks.freeAtMs(until);
  }

  /** Waiting blocks of the entries up to a sequence number. */
  waitingThrough(seq: number): readonly PendingBlock[] {
    if (this.several !== null) return this.several.waitingBlocks.through(seq);
    return this.waits && this.only!.seq <= seq ? [this.only!] : none;
  }

  waitingAdds(): readonly PendingBlock[] {
    if (this.several !== null) return this.several.waitingBlocks.adds();
    return this.waits && this.only!.segBlock.expiration !== -1 ? [this.only!] : none;
  }

  // ── Requests without a reply ────────────────────────────────────────────────────────────────────────────────

  /** Requests that ended without a reply and may still run, or null. */
  get ambiguous(): AmbiguousRequests | null {
    return this.trouble?.ambiguous ?? null;
  }

  /** The same as `ambiguous`, to add one to them. */
  ambiguousRequests(): AmbiguousRequests {
    return (this.troubled().ambiguous ??= new AmbiguousRequests());
  }

  /** Removes ambiguous requests that can no longer run, and wakes the blocks that must be sent again. */
  clearAmbiguous(nowMs: number): void {
    const { ambiguous } = this;
    if (ambiguous === null || ambiguous.untilMs > nowMs) return;
    this.troubled().ambiguous = null;
    for (const block of ambiguous.due) if (block.due && block.entry.owner === this) wake(block);
  }

  /** Whether no state of this user is left. */
  get idle(): boolean {
    return this.entries.length === 0 && this.flight === null && this.ambiguous === null;
  }
}

const none: readonly never[] = [];

/** See `User.undoAdd`. */
function undoIn({ entries }: SeveralBlocks, entry: PendingEntry): void {
  for (const block of entry.blocks.toReversed()) {
    const { absorbed } = block;
    block.absorbed = null;
    // Ends the block without a report.
    block.rejected = true;
    block.state = 'ended';
    const newest = absorbed?.pop();
    if (newest === undefined) continue;
    newest.absorbed = absorbed!.length > 0 ? absorbed! : null;
    newest.state = 'waiting';
  }
  entries.pop();
}

function waitsAgain(
  { coalescing, waitingBlocks }: SeveralBlocks,
  block: PendingBlock,
  before: PendingBlockState,
): void {
  // A block that returns from a request is no newer than before, and no newer block was sent meanwhile.
  if (before !== 'inFlight') coalescing.disturb();
  if (block.segment === null) coalescing.link(block);
  else coalescing.change(block);
  waitingBlocks.add(block);
}

/** Index of the first entry with a sequence number above `seq`. */
function placeIn(entries: readonly PendingEntry[], seq: number): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entries[middle]!.seq > seq) high = middle;
    else low = middle + 1;
  }
  return low;
}
