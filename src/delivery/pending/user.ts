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

import { AmbiguousRequests } from './ambiguous';
import { Coalescing } from './coalescing';
import { wake } from './item';
import type { Cell, CellState, Item, ItemOwner } from './item';
import { nobody, WaitingBlocks, type Held, type Selection } from './waiting-blocks';

/** Ready queue of an account, with the account's number of users. */
export interface ReadyQueue {
  readonly account: { size: number };
}

export class User implements ItemOwner {
  /** In the order of their sequence numbers. */
  items: Item[] = empty;
  /** Cells of the request in flight, or null. */
  flight: readonly Cell[] | null = null;
  /** Monotonic ms before which the user is not sent (backoff). */
  notBeforeMs = 0;
  /** Monotonic ms of the delay that was scheduled last. */
  delayedUntilMs = -Infinity;
  /** Failures in a row. */
  failures = 0;
  /** Limit on the blocks of the next request; halved when a body of this user alone was refused. */
  blockLimit = Infinity;
  /** Whether the user is in a bisection. */
  inBisection = false;
  /** The ready queue that holds this user; a stale position in another queue is skipped. */
  queue: ReadyQueue | null = null;
  /** Requests that ended without a reply and may still run. */
  ambiguous: AmbiguousRequests | null = null;
  /** Number of waiting blocks, and of those whose entry has a removal. */
  private waiting = 0;
  private removing = 0;
  /** Number of entries that have not ended. */
  unended = 0;
  /** Null while the user has only ever had one block. */
  private order: { readonly coalescing: Coalescing; readonly waiting: WaitingBlocks } | null = null;
  private closed: Item[] = empty;

  constructor(
    readonly key: string,
    readonly hash: number,
  ) {}

  // ── Entries come and go ─────────────────────────────────────────────────────────────────────────────────────

  /** Inserts an entry by sequence number; rows read from disk may be older than entries in memory. */
  add(item: Item): void {
    const { items } = this;
    const last = items.at(-1);
    const isLast = last === undefined || last.seq <= item.seq;
    if (isLast) this.items = withOneMore(items, item);
    else items.splice(placeIn(items, item.seq), 0, item);
    item.owner = this;
    if (item.unended > 0) this.unended += 1;
    for (const cell of item.cells) if (cell.state === 'waiting') this.count(cell, 1);
    if (this.order !== null) {
      this.link(item);
      if (!isLast || item.open === 0) this.order.coalescing.disturb();
    } else if (this.items.length > 1 || item.cells.length > 1) {
      this.order = { coalescing: new Coalescing(), waiting: new WaitingBlocks() };
      for (const each of this.items) this.link(each);
    }
  }

  private link(item: Item): void {
    const { coalescing, waiting } = this.order!;
    for (const cell of item.cells) {
      if (cell.rejected) continue;
      coalescing.link(cell);
      if (cell.state === 'waiting') waiting.add(cell);
    }
  }

  has(seq: number): boolean {
    return this.items[placeIn(this.items, seq) - 1]?.seq === seq;
  }

  /** Removes the entry that was added last and undoes its effects. Returns false when it is already removed. */
  undoAdd(item: Item): boolean {
    if (this.items.at(-1) !== item) return false;
    for (const cell of item.cells.toReversed()) {
      const { absorbed } = cell;
      cell.absorbed = null;
      // Ends the block without a report.
      cell.rejected = true;
      cell.state = 'ended';
      const newest = absorbed?.pop();
      if (newest === undefined) continue;
      newest.absorbed = absorbed!.length > 0 ? absorbed! : null;
      newest.state = 'waiting';
    }
    this.items.pop();
    item.owner = null;
    return true;
  }

  /** Removes and returns the settled entries before the first open one, up to a sequence number. */
  takeRetired(throughSeq = Infinity): readonly Item[] {
    const { items } = this;
    let count = 0;
    while (count < items.length && items[count]!.seq <= throughSeq && items[count]!.settled) count += 1;
    if (count === 0) return none;
    const all = count === items.length;
    const retired = all ? items : items.splice(0, count);
    for (const item of retired) this.release(item);
    if (!all) return retired;
    this.items = empty;
    this.order?.waiting.clear();
    this.order = null;
    this.closed = empty;
    this.ambiguous?.due.splice(0);
    return retired;
  }

  /** Removes and returns covered entries at any position. Searches only when there are many entries. */
  takeCovered(): readonly Item[] {
    const coalescing = this.order?.coalescing;
    if (coalescing === undefined || this.items.length < coalescing.coveredFrom) return none;
    const kept: Item[] = [];
    const covered: Item[] = [];
    for (const item of this.items) (item.settled && coalescing.covers(item) ? covered : kept).push(item);
    this.items = kept;
    coalescing.searched(kept.length);
    for (const item of covered) this.release(item);
    return covered;
  }

  /** Removes and returns entries that changed nothing at the service, at any position. */
  takeRejected(): readonly Item[] {
    const rejected = this.items.filter((item) => item.open === 0 && item.allRejected);
    if (rejected.length === 0) return none;
    this.items = this.items.filter((item) => item.open > 0 || !item.allRejected);
    for (const item of rejected) this.release(item);
    return rejected;
  }

  private release(item: Item): void {
    item.owner = null;
    if (this.order !== null) for (const cell of item.cells) this.order.coalescing.unlink(cell);
  }

  /** Entries that have ended since the last call and are still held. */
  takeClosed(): readonly Item[] {
    if (this.closed.length === 0) return none;
    const closed = this.closed.filter((item) => item.owner === this);
    this.closed = empty;
    return closed;
  }

  itemClosed(item: Item): void {
    this.closed = withOneMore(this.closed, item);
  }

  // ── Blocks change ───────────────────────────────────────────────────────────────────────────────────────────

  cellChanged(cell: Cell, before: CellState): void {
    if (before === 'ended' && cell.item.unended === 1) this.unended += 1;
    if (cell.state === 'ended' && cell.item.unended === 0) this.unended -= 1;
    if (before === 'waiting') {
      this.count(cell, -1);
      cell.queue?.left();
    }
    if (cell.state === 'waiting') {
      this.count(cell, 1);
      this.waitsAgain(cell, before);
    } else if (cell.state === 'ended') {
      if (cell.rejected) this.order?.coalescing.unlinkRejected(cell);
      else this.order?.coalescing.change(cell);
    }
  }

  private count(cell: Cell, by: 1 | -1): void {
    this.waiting += by;
    if (cell.item.entry.removes) this.removing += by;
  }

  private waitsAgain(cell: Cell, before: CellState): void {
    if (this.order === null) return;
    const { coalescing, waiting } = this.order;
    // A block that returns from a request is no newer than before, and no newer block was sent meanwhile.
    if (before !== 'inFlight') coalescing.disturb();
    if (cell.segment === null) coalescing.link(cell);
    else coalescing.change(cell);
    waiting.add(cell);
  }

  cellDue(cell: Cell): void {
    this.ambiguous?.due.push(cell);
  }

  /** Whether a removal waits. */
  get removes(): boolean {
    return this.removing > 0;
  }

  get waits(): boolean {
    return this.waiting > 0;
  }

  /**
   * Lets newer blocks absorb older waiting ones, and wakes ended blocks that an older block of the other kind
   * would undo. Returns the cells that ended because a newer block had already ended. Does nothing while a
   * request is in flight, because its blocks may have to wait again.
   */
  merge(): readonly Cell[] {
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
    const only = this.onlyCell();
    if (only !== null) {
      const account = only.state === 'waiting' && !held(only) ? login(only.item.source.account) : null;
      return account === null ? null : { cells: [only], account };
    }
    return this.order?.waiting.select(Math.min(limit, this.blockLimit), login, nowMonoMs, held) ?? null;
  }

  /** Accounts of the blocks that the next request may take; at least one if the user `waits`. */
  nextAccounts(held: Held = nobody): readonly string[] {
    const only = this.onlyCell();
    if (only !== null) return [only.item.source.account];
    return this.order?.waiting.nextAccounts(held) ?? none;
  }

  /** The only block of the user, if there is just one (the usual case). */
  private onlyCell(): Cell | null {
    const { items } = this;
    if (items.length !== 1) return null;
    const { cells } = items[0]!;
    return cells.length === 1 ? cells[0]! : null;
  }

  /** Minimum of `until` over the blocks that may be sent next. Needs at least one waiting block. */
  freeAtMs(until: (cell: Cell) => number): number {
    const only = this.onlyCell();
    return only !== null ? until(only) : this.order!.waiting.freeAtMs(until);
  }

  /** Waiting blocks of the entries up to a sequence number. */
  waitingThrough(seq: number): readonly Cell[] {
    const only = this.onlyCell();
    if (only !== null) return only.state === 'waiting' && only.item.seq <= seq ? [only] : none;
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
    for (const cell of ambiguous.due) if (cell.due && cell.item.owner === this) wake(cell);
  }

  /** Whether no state of this user is left. */
  get idle(): boolean {
    return this.items.length === 0 && this.flight === null && this.ambiguous === null;
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
function placeIn(items: readonly Item[], seq: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (items[middle]!.seq > seq) high = middle;
    else low = middle + 1;
  }
  return low;
}
