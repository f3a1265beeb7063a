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
// waiting-blocks.ts). Nearly every user has one entry with one block, which needs neither.

import type { Lane } from '../../queue/store';
import { AmbiguousRequests } from './ambiguous';
import { Coalescing } from './coalescing';
import { wake } from './pending-entry';
import type { PendingBlock, PendingBlockState, PendingEntry, EntryOwner } from './pending-entry';
import { nobody, WaitingBlocks, type Held, type Selection } from './waiting-blocks';

/** Ready queue of an account, with the account's number of users. */
export interface ReadyQueue {
  readonly account: { size: number };
}

export class User implements EntryOwner {
  /** In the order of their sequence numbers. */
  entries: PendingEntry[] = empty;
  /** Blocks of the request in flight, or null. */
  flight: readonly PendingBlock[] | null = null;
  /** Monotonic ms before which the user is not sent (backoff). */
  notBeforeMs = 0;
  /** Monotonic ms of the delay that was scheduled last; 0 for none. */
  delayedUntilMs = 0;
  /** Failures in a row. */
  failures = 0;
  /** Limit on the blocks of the next request; halved when a body of this user alone was refused. Null for none. */
  blockLimit: number | null = null;
  /** Whether the user is in a bisection. */
  inBisection = false;
  /** The ready queue that holds this user; a stale position in another queue is skipped. */
  queue: ReadyQueue | null = null;
  /** Requests that ended without a reply and may still run. */
  ambiguous: AmbiguousRequests | null = null;
  /** Number of waiting blocks, of those of bulk entries, and of the others whose entry has a removal. */
  private waiting = 0;
  private bulk = 0;
  private removing = 0;
  /** Number of entries that have not ended. */
  unended = 0;
  /** Null while the user has only ever had one block. */
  private order: { readonly coalescing: Coalescing; readonly waiting: WaitingBlocks } | null = null;
  private closed: PendingEntry[] = empty;

  constructor(
    readonly key: string,
    readonly hash: number,
  ) {}

  // ── Entries come and go ─────────────────────────────────────────────────────────────────────────────────────

  /** Inserts an entry by sequence number; rows read from disk may be older than entries in memory. */
  add(entry: PendingEntry): void {
    const { entries } = this;
    const last = entries.at(-1);
    const isLast = last === undefined || last.seq <= entry.seq;
    if (isLast) this.entries = withOneMore(entries, entry);
    else entries.splice(placeIn(entries, entry.seq), 0, entry);
    entry.owner = this;
    if (entry.unended > 0) this.unended += 1;
    for (const block of entry.blocks) if (block.state === 'waiting') this.count(block, 1);
    if (this.order !== null) {
      this.link(entry);
      if (!isLast || entry.open === 0) this.order.coalescing.disturb();
    } else if (this.entries.length > 1 || entry.blocks.length > 1) {
      this.order = { coalescing: new Coalescing(), waiting: new WaitingBlocks() };
      for (const each of this.entries) this.link(each);
    }
  }

  private link(entry: PendingEntry): void {
    const { coalescing, waiting } = this.order!;
    for (const block of entry.blocks) {
      if (block.rejected) continue;
      coalescing.link(block);
      if (block.state === 'waiting') waiting.add(block);
    }
  }

  has(seq: number): boolean {
    return this.entries[placeIn(this.entries, seq) - 1]?.seq === seq;
  }

  /** Removes the entry that was added last and undoes its effects. Returns false when it is already removed. */
  undoAdd(entry: PendingEntry): boolean {
    if (this.entries.at(-1) !== entry) return false;
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
    this.entries.pop();
    entry.owner = null;
    return true;
  }

  /** Removes and returns the settled entries before the first open one, up to a sequence number. */
  takeRetired(throughSeq = Infinity): readonly PendingEntry[] {
    const { entries } = this;
    let count = 0;
    while (count < entries.length && entries[count]!.seq <= throughSeq && entries[count]!.done) count += 1;
    if (count === 0) return none;
    const all = count === entries.length;
    const retired = all ? entries : entries.splice(0, count);
    for (const entry of retired) this.release(entry);
    if (!all) return retired;
    this.entries = empty;
    this.order?.waiting.clear();
    this.order = null;
    this.closed = empty;
    this.ambiguous?.due.splice(0);
    return retired;
  }

  /** Removes and returns covered entries at any position. Searches only when there are many entries. */
  takeCovered(): readonly PendingEntry[] {
    const coalescing = this.order?.coalescing;
    if (coalescing === undefined || this.entries.length < coalescing.coveredFrom) return none;
    const kept: PendingEntry[] = [];
    const covered: PendingEntry[] = [];
    for (const entry of this.entries) (entry.done && coalescing.covers(entry) ? covered : kept).push(entry);
    this.entries = kept;
    coalescing.searched(kept.length);
    for (const entry of covered) this.release(entry);
    return covered;
  }

  /** Removes and returns entries that changed nothing at the service, at any position. */
  takeRejected(): readonly PendingEntry[] {
    const rejected = this.entries.filter((entry) => entry.open === 0 && entry.allRejected);
    if (rejected.length === 0) return none;
    this.entries = this.entries.filter((entry) => entry.open > 0 || !entry.allRejected);
    for (const entry of rejected) this.release(entry);
    return rejected;
  }

  private release(entry: PendingEntry): void {
    entry.owner = null;
    if (this.order !== null) for (const block of entry.blocks) this.order.coalescing.unlink(block);
  }

  /** Entries that have ended since the last call and are still held. */
  takeClosed(): readonly PendingEntry[] {
    if (this.closed.length === 0) return none;
    const closed = this.closed.filter((entry) => entry.owner === this);
    this.closed = empty;
    return closed;
  }

  entryClosed(entry: PendingEntry): void {
    this.closed = withOneMore(this.closed, entry);
  }

  // ── Blocks change ───────────────────────────────────────────────────────────────────────────────────────────

  blockChanged(block: PendingBlock, before: PendingBlockState): void {
    if (before === 'ended' && block.entry.unended === 1) this.unended += 1;
    if (block.state === 'ended' && block.entry.unended === 0) this.unended -= 1;
    if (before === 'waiting') {
      this.count(block, -1);
      block.queue?.left();
    }
    if (block.state === 'waiting') {
      this.count(block, 1);
      this.waitsAgain(block, before);
    } else if (block.state === 'ended') {
      if (block.rejected) this.order?.coalescing.unlinkRejected(block);
      else this.order?.coalescing.change(block);
    }
  }

  private count(block: PendingBlock, by: 1 | -1): void {
    this.waiting += by;
    if (block.entry.bulk) this.bulk += by;
    else if (block.entry.checked.removes) this.removing += by;
  }

  private waitsAgain(block: PendingBlock, before: PendingBlockState): void {
    if (this.order === null) return;
    const { coalescing, waiting } = this.order;
    // A block that returns from a request is no newer than before, and no newer block was sent meanwhile.
    if (before !== 'inFlight') coalescing.disturb();
    if (block.segment === null) coalescing.link(block);
    else coalescing.change(block);
    waiting.add(block);
  }

  blockDue(block: PendingBlock): void {
    this.ambiguous?.due.push(block);
  }

  /** Whether a removal waits that is not bulk. */
  get removes(): boolean {
    return this.removing > 0;
  }

  /** Of the waiting blocks, those that go first choose it. */
  get lane(): Lane {
    if (this.removes) return 'removal';
    return this.waiting > this.bulk ? 'add' : 'bulk';
  }

  get waits(): boolean {
    return this.waiting > 0;
  }

  /**
   * Lets newer blocks absorb older waiting ones, and wakes ended blocks that an older block of the other kind
   * would undo. Returns the blocks that ended because a newer block had already ended. Does nothing while a
   * request is in flight, because its blocks may have to wait again.
   */
  merge(): readonly PendingBlock[] {
    return this.flight !== null || this.order === null ? none : this.order.coalescing.merge();
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
    const only = this.onlyBlock();
    if (only !== null) {
      const account = only.state === 'waiting' && !held(only) ? login(only.entry.source.account) : null;
      return account === null ? null : { blocks: only.entry.blocks, account };
    }
    return (
      this.order?.waiting.select(Math.min(limit, this.blockLimit ?? limit), login, nowMonoMs, held) ?? null
    );
  }

  /** Accounts of the blocks that the next request may take; at least one if the user `waits`. */
  nextAccounts(held: Held = nobody): readonly string[] {
    const only = this.onlyBlock();
    if (only !== null) return [only.entry.source.account];
    return this.order?.waiting.nextAccounts(held) ?? none;
  }

  /** The only block of the user, if there is just one (the usual case). */
  private onlyBlock(): PendingBlock | null {
    const { entries } = this;
    if (entries.length !== 1) return null;
    const { blocks } = entries[0]!;
    return blocks.length === 1 ? blocks[0]! : null;
  }

  /** Minimum of `until` over the blocks that may be sent next. Needs at least one waiting block. */
  freeAtMs(until: (block: PendingBlock) => number): number {
    const only = this.onlyBlock();
    return only !== null ? until(only) : this.order!.waiting.freeAtMs(until);
  }

  /** Waiting blocks of the entries up to a sequence number. */
  waitingThrough(seq: number): readonly PendingBlock[] {
    const only = this.onlyBlock();
    if (only !== null) return only.state === 'waiting' && only.entry.seq <= seq ? [only] : none;
    return this.order?.waiting.through(seq) ?? none;
  }

  // ── Requests without a reply ────────────────────────────────────────────────────────────────────────────────

  /** The same as `ambiguous`, to add one to them. */
  ambiguousRequests(): AmbiguousRequests {
    return (this.ambiguous ??= new AmbiguousRequests());
  }

  /** Removes ambiguous requests that can no longer run, and wakes the blocks that must be sent again. */
  clearAmbiguous(nowMs: number): void {
    const { ambiguous } = this;
    if (ambiguous === null || ambiguous.untilMs > nowMs) return;
    this.ambiguous = null;
    for (const block of ambiguous.due) if (block.due && block.entry.owner === this) wake(block);
  }

  /** Whether no state of this user is left. */
  get idle(): boolean {
    return this.entries.length === 0 && this.flight === null && this.ambiguous === null;
  }
}

const none: readonly never[] = [];
/** Shared empty list, because nearly every user has one entry with one block. Never add to it. */
const empty: never[] = [];

function withOneMore<T>(list: T[], one: T): T[] {
  if (list.length === 0) return [one];
  list.push(one);
  return list;
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
