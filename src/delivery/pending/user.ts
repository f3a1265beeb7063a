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
// A user may have any number of entries, so the usual operations do not iterate over all of them: each block links to its
// neighbours of the same segment, waiting blocks are in lists of their own, and changes are collected for the
// next merge.

import { AmbiguousRequests } from './ambiguous';
import { cellKey, inOrder, orderKind, sentExpiration } from './item';
import type { Cell, CellState, Item, ItemOwner, SegmentCells } from './item';
import { PendingBlocks } from './pending-blocks';

/** Ready queue of an account, with the account's number of users. */
export interface ReadyQueue {
  readonly account: { size: number };
}

/** Blocks for one user in one request. */
export interface Selection {
  readonly cells: readonly Cell[];
  readonly account: string;
}

/** Waiting blocks of one kind and spelling with no block of another kind before them. */
interface Run {
  /** The lists that hold them, in the order of their first blocks. */
  readonly queues: readonly PendingBlocks[];
  /** The first block after the run. */
  readonly end: Cell | null;
}

/** Below this number of entries the search for covered ones is not worth its cost. */
const fewItems = 16;

/** When more blocks wait than a request takes, candidates are this many times the limit. */
const lookAhead = 2;

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
  private ambiguous: AmbiguousRequests | null = null;
  /** Number of waiting blocks, and of those whose entry has a removal. */
  private waiting = 0;
  private removing = 0;
  /** By key; null while the user has only ever had one block, which needs no order. */
  private segments: Map<string, SegmentCells> | null = null;
  private queues: PendingBlocks[] = empty;
  /** Kind of the first linked block, and whether blocks of other kinds were linked later. */
  private kind: string | null = null;
  private mixed = false;
  /** For the next merge: blocks that may have new neighbours. */
  private changed: Cell[] = empty;
  /** For the next merge: a waiting block may be older than an ended one. */
  private disturbed = false;
  private closed: Item[] = empty;
  /** Number of entries from which the search for covered ones is worth its cost. */
  private coveredFrom = fewItems;
  private dueCells: Cell[] = empty;

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
    else items.splice(this.placeOf(item.seq), 0, item);
    item.owner = this;
    if (!isLast || item.open === 0) this.disturbed = true;
    for (const cell of item.cells) if (cell.state === 'waiting') this.count(cell, 1);
    if (this.segments !== null) this.linkAll(item);
    else if (this.items.length > 1 || item.cells.length > 1) {
      this.segments = new Map();
      for (const each of this.items) this.linkAll(each);
    }
  }

  /** Index of the first entry with a sequence number above `seq`. */
  private placeOf(seq: number): number {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.items[middle]!.seq > seq) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  has(seq: number): boolean {
    return this.items[this.placeOf(seq) - 1]?.seq === seq;
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
    if (all) this.forgetAll();
    for (const item of retired) this.release(item);
    return retired;
  }

  /** Removes and returns covered entries at any position. Searches only when there are many entries. */
  takeCovered(): readonly Item[] {
    if (this.items.length < this.coveredFrom) return none;
    const kept: Item[] = [];
    const covered: Item[] = [];
    for (const item of this.items) (item.settled && this.covers(item) ? covered : kept).push(item);
    this.items = kept;
    this.coveredFrom = 2 * kept.length + fewItems;
    for (const item of covered) this.release(item);
    return covered;
  }

  /** Whether newer ended blocks repeat every effect of a settled entry. */
  private covers(item: Item): boolean {
    if (this.segments === null) return false;
    for (const cell of item.cells) {
      if (cell.rejected) continue;
      const newest = this.segments.get(cell.segment?.key ?? cellKey(cell))?.newest;
      if (newest?.state !== 'ended' || newest.item.open > 0 || inOrder(newest, cell) <= 0) return false;
    }
    return true;
  }

  private forgetAll(): void {
    this.items = empty;
    this.coveredFrom = fewItems;
    this.segments = null;
    for (const queue of this.queues) queue.clear();
    this.queues = empty;
    this.kind = null;
    this.mixed = false;
    this.changed = empty;
    this.closed = empty;
    this.dueCells = empty;
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
    for (const cell of item.cells) this.unlink(cell);
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
    if (before === 'waiting') {
      this.count(cell, -1);
      cell.queue?.left();
    }
    if (cell.state === 'waiting') {
      this.count(cell, 1);
      this.waitsAgain(cell, before);
    } else if (cell.state === 'ended') {
      if (cell.rejected) this.unlinkRejected(cell);
      else if (cell.segment !== null) this.changed = withOneMore(this.changed, cell);
    }
  }

  private count(cell: Cell, by: 1 | -1): void {
    this.waiting += by;
    if (cell.item.entry.removes) this.removing += by;
  }

  private waitsAgain(cell: Cell, before: CellState): void {
    if (this.segments === null) return;
    // A block that returns from a request is no newer than before, and no newer block was sent meanwhile.
    if (before !== 'inFlight') this.disturbed = true;
    if (cell.segment === null) {
      this.link(cell, this.segments);
      return;
    }
    this.queueOf(cell).add(cell);
    this.changed = withOneMore(this.changed, cell);
  }

  /** Blocks that a rejected block had covered count again. */
  private unlinkRejected(cell: Cell): void {
    const { older, newer } = cell;
    this.unlink(cell);
    if (older === null) return;
    this.changed = withOneMore(this.changed, older);
    if (newer === null && older.state === 'ended') this.disturbed = true;
  }

  cellDue(cell: Cell): void {
    this.dueCells = withOneMore(this.dueCells, cell);
  }

  /** Whether a removal waits. */
  get removes(): boolean {
    return this.removing > 0;
  }

  get waits(): boolean {
    return this.waiting > 0;
  }

  // ── Order ───────────────────────────────────────────────────────────────────────────────────────────────────

  private linkAll(item: Item): void {
    for (const cell of item.cells) if (!cell.rejected) this.link(cell, this.segments!);
  }

  /** Links a block to its neighbours of the same segment. */
  private link(cell: Cell, segments: Map<string, SegmentCells>): void {
    const key = cellKey(cell);
    let segment = segments.get(key);
    if (segment === undefined) {
      segment = { key, kind: orderKind(cell), newest: null, latest: null };
      this.kind ??= segment.kind;
      if (this.kind !== segment.kind) this.mixed = true;
      segments.set(key, segment);
    }
    const { newest, latest } = segment;
    let older = newest !== null && inOrder(newest, cell) < 0 ? newest : latest;
    let newer = older?.newer ?? null;
    while (newer !== null && inOrder(newer, cell) < 0) {
      older = newer;
      newer = newer.newer;
    }
    while (older !== null && inOrder(older, cell) > 0) {
      newer = older;
      older = older.older;
    }
    cell.segment = segment;
    segment.latest = cell;
    cell.older = older;
    cell.newer = newer;
    if (older !== null) older.newer = cell;
    if (newer === null) segment.newest = cell;
    else newer.older = cell;
    this.changed = withOneMore(this.changed, cell);
    if (cell.state === 'waiting') this.queueOf(cell).add(cell);
  }

  private unlink(cell: Cell): void {
    const { segment, older, newer } = cell;
    if (segment === null) return;
    if (older !== null) older.newer = newer;
    if (newer !== null) newer.older = older;
    else segment.newest = older;
    if (segment.latest === cell) segment.latest = newer ?? older;
    if (segment.newest === null) this.segments?.delete(segment.key);
    cell.segment = null;
    cell.older = null;
    cell.newer = null;
  }

  private queueOf({ item, block, refusedAtMs }: Cell): PendingBlocks {
    const { account } = item.source;
    const removes = block.expiration === -1;
    const refused = refusedAtMs < Infinity;
    for (const queue of this.queues) {
      const { sort } = queue;
      if (sort.account === account && sort.removes === removes && sort.refused === refused) return queue;
    }
    const queue = new PendingBlocks({ account, removes, refused });
    this.queues = withOneMore(this.queues, queue);
    return queue;
  }

  // ── Merging ─────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Lets newer blocks absorb older waiting ones, and wakes ended blocks that an older block of the other kind
   * would undo. Returns the cells that ended because a newer block had already ended. Does nothing while a
   * request is in flight, because its blocks may have to wait again.
   */
  merge(): readonly Cell[] {
    if (this.flight !== null || (this.changed.length === 0 && !this.disturbed)) return none;
    const covered: Cell[] = [];
    this.mergeChanged(covered);
    if (this.disturbed && this.mixed) {
      this.wakeUndone();
      this.mergeChanged(covered);
    }
    this.disturbed = false;
    return covered;
  }

  private mergeChanged(covered: Cell[]): void {
    const { changed } = this;
    this.changed = empty;
    for (const cell of changed) {
      while (this.mergePair(cell.older, cell, covered));
      this.mergePair(cell, cell.newer, covered);
    }
  }

  /** Merges two neighbours of one segment. Returns true when only the newer one is left. */
  private mergePair(older: Cell | null, newer: Cell | null, covered: Cell[]): boolean {
    if (older === null || newer === null) return false;
    if (older.state === 'waiting') this.absorb(older, newer, covered);
    // The newer block makes the older one redundant.
    else if (older.state === 'ended' && newer.state === 'ended') this.unlink(older);
    else return false;
    return true;
  }

  private absorb(older: Cell, newer: Cell, covered: Cell[]): void {
    this.unlink(older);
    const all = older.absorbed ?? [];
    all.push(older);
    older.absorbed = null;
    if (newer.state !== 'ended') {
      older.state = 'absorbed';
      newer.absorbed = newer.absorbed === null ? all : joined(newer.absorbed, all);
      return;
    }
    for (const cell of all) {
      cell.due = newer.due;
      cell.state = 'ended';
      covered.push(cell);
    }
  }

  /**
   * When an older block of another kind is about to be sent, newer blocks that were sent before it must be sent
   * again after it. The same holds for an ended block that a newer waiting block of its segment is about to
   * replace: if that newer block is rejected or deleted, no other block would repeat the state.
   */
  private wakeUndone(): void {
    const cells: Cell[] = [];
    for (const { newest } of this.segments!.values()) {
      if (newest!.state !== 'ended' && newest!.older?.state === 'ended') cells.push(newest!.older);
      cells.push(newest!);
    }
    const waitingKinds = new Set<string>();
    for (const cell of cells.sort(inOrder)) {
      const { kind } = cell.segment!;
      const undone = waitingKinds.size > (waitingKinds.has(kind) ? 1 : 0);
      if (cell.state === 'ended' && undone) wake(cell);
      if (cell.state === 'waiting' && cell.newer === null) waitingKinds.add(kind);
    }
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
    const most = Math.min(limit, this.blockLimit);
    const { queues, end } = this.firstRun();
    const holds = this.holdsNow(held, end);
    let account: string | null = null;
    let cells: Cell[] = [];
    for (const queue of queues) {
      const its = login(queue.sort.account);
      if (its === null || its !== (account ?? its)) continue;
      const found = candidates(queue, end, holds, most);
      if (found.length === 0) continue;
      account = its;
      cells = cells.length === 0 ? found : [...cells, ...found].sort(inOrder);
    }
    if (account === null) return null;
    if (cells.length > most) {
      // Blocks that were not refused go first, so that a refused block does not delay them.
      const places: Cell[][] = [[], [], [], []];
      for (const cell of cells) {
        const removes = sentExpiration(cell, nowMonoMs) === -1;
        places[(cell.refusedAtMs < Infinity ? 2 : 0) + (removes ? 0 : 1)]!.push(cell);
      }
      cells = places.flat().slice(0, most);
    }
    return { cells, account };
  }

  /** Accounts of the blocks that the next request may take; at least one if the user `waits`. */
  nextAccounts(held: Held = nobody): readonly string[] {
    const only = this.onlyCell();
    if (only !== null) return [only.item.source.account];
    const { queues, end } = this.firstRun();
    const holds = this.holdsNow(held, end);
    const free = queues.filter((queue) => holds === nobody || candidates(queue, end, holds, 1).length > 0);
    return [...new Set(free.map(({ sort }) => sort.account))];
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
    if (only !== null) return until(only);
    const { queues, end } = this.firstRun();
    if (this.removalBehind(end)) return -Infinity;
    let freeAtMs = Infinity;
    for (const queue of queues) {
      for (const cell of queue.before(end)) {
        freeAtMs = Math.min(freeAtMs, until(cell));
        if (freeAtMs === -Infinity) return freeAtMs;
      }
    }
    return freeAtMs;
  }

  private firstRun(): Run {
    const waiting = this.queues.filter(({ first }) => first !== null);
    if (waiting.length > 1) waiting.sort((a, b) => inOrder(a.first!, b.first!));
    const kind = waiting[0]?.first?.segment?.kind;
    let end: Cell | null = null;
    for (const queue of waiting) {
      const { first } = queue;
      const other = first!.segment!.kind === kind ? queue.firstOfAnotherKind : first;
      if (other !== null && (end === null || inOrder(other, end) < 0)) end = other;
    }
    return { queues: waiting.filter(({ first }) => end === null || inOrder(first!, end) < 0), end };
  }

  private holdsNow(held: Held, end: Cell | null): Held {
    return held !== nobody && this.removalBehind(end) ? nobody : held;
  }

  /**
   * Whether a removal waits behind blocks of another kind. It may concern the same segment as a held add, so it
   * cannot overtake that add, and it must not wait for the warm-up.
   */
  private removalBehind(end: Cell | null): boolean {
    if (end === null) return false;
    return this.queues.some(({ sort, last }) => sort.removes && last !== null && inOrder(last, end) >= 0);
  }

  /** Waiting blocks of the entries up to a sequence number. */
  waitingThrough(seq: number): readonly Cell[] {
    const only = this.onlyCell();
    if (only !== null) return only.state === 'waiting' && only.item.seq <= seq ? [only] : none;
    const cells: Cell[] = [];
    for (const queue of this.queues) {
      for (const cell of queue.before(null)) {
        if (cell.item.seq > seq) break;
        cells.push(cell);
      }
    }
    return cells;
  }

  // ── Requests without a reply ────────────────────────────────────────────────────────────────────────────────

  /** The request in flight was ambiguous: it may run until `untilMs`. */
  addAmbiguous(cells: readonly Cell[], untilMs: number): void {
    this.ambiguous ??= new AmbiguousRequests();
    this.ambiguous.add(cells, untilMs);
  }

  /** Records an ambiguous request whose blocks are unknown. */
  addAmbiguousUnknown(untilMs: number): void {
    this.ambiguous ??= new AmbiguousRequests();
    this.ambiguous.addUnknown(untilMs);
  }

  /** Extends the time of ambiguous requests by `forMs`. Returns whether there are any. */
  slept(forMs: number): boolean {
    this.ambiguous?.slept(forMs);
    return this.ambiguous !== null;
  }

  /** Monotonic ms until which an ambiguous request may run; -Infinity if there is none. */
  get ambiguousUntilMs(): number {
    return this.ambiguous?.untilMs ?? -Infinity;
  }

  /** Whether the ambiguous requests can no longer run: `clearSuspects` removes them. */
  ambiguousOver(nowMs: number): boolean {
    return this.ambiguous !== null && this.ambiguous.untilMs <= nowMs;
  }

  /** Whether an ambiguous request may still undo `cell`, which was sent at `sentMs` and accepted. */
  mayBeUndone(cell: Cell, sentMs: number): boolean {
    return this.ambiguous?.mayUndo(cell, sentMs) ?? false;
  }

  /**
   * Whether an ended block may be sent again: only when every known entry is newer, so that it is sent first.
   */
  mayResend(cell: Cell): boolean {
    if (this.flight !== null || this.ambiguous !== null) return false;
    const [first] = this.items;
    return first === undefined || first.seq > cell.item.seq;
  }

  /** Removes ambiguous requests that can no longer run, and wakes the blocks that must be sent again. */
  clearAmbiguous(nowMs: number): void {
    if (this.ambiguousUntilMs > nowMs) return;
    this.ambiguous = null;
    const due = this.dueCells;
    this.dueCells = empty;
    for (const cell of due) if (cell.due && cell.item.owner === this) wake(cell);
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

/** Tells whether a block must wait although no other block of its user is in the way. */
export type Held = (cell: Cell) => boolean;

const nobody: Held = () => false;

/** Blocks of a list that may be sent next; at most `most * lookAhead` of them. */
function candidates(queue: PendingBlocks, end: Cell | null, held: Held, most: number): Cell[] {
  const found: Cell[] = [];
  for (const cell of queue.before(end)) {
    if (held(cell)) continue;
    found.push(cell);
    if (found.length >= most * lookAhead) break;
  }
  return found;
}

function wake(cell: Cell): void {
  cell.again = true;
  cell.due = false;
  cell.state = 'waiting';
}

/** Merges two lists without copying the longer one. The newest cell is last. */
function joined(one: Cell[], other: Cell[]): Cell[] {
  const [long, short] = one.length < other.length ? [other, one] : [one, other];
  const newest = long.at(-1)!;
  const at = long.length - 1;
  for (const cell of short) long.push(cell);
  const last = long.at(-1)!;
  if (inOrder(newest, last) > 0) {
    long[at] = last;
    long[long.length - 1] = newest;
  }
  return long;
}
