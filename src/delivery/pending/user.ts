// One user's entries in memory: merging, what may go in the next request, and what must stay known after it went.
//
// Pure: no clock, no queue. The rules (promises 1, 2 and 8):
// - Per segment the newest block counts; older ones that were not sent are absorbed by it and share its end.
// - Blocks by id and blocks by code may name the same segment, and so may two spellings of one user: such
//   groups never share a request and go in the order in which they came. Within an entry they are grouped.
// - An ended entry stays known while an older one of the same user has not ended, since the older one may still
//   be sent and must not undo it.
//
// A user may have any number of entries, so nothing here looks through them: each block knows its neighbours of the
// same segment, what waits is in queues of its own, and what changes is noted for the next merge.

import { AmbiguousRequests } from './ambiguous';
import { cellKey, inOrder, orderKind, sentExpiration } from './item';
import type { Cell, CellState, Item, ItemOwner, SegmentCells } from './item';
import { PendingBlocks } from './pending-blocks';

/** One that users wait in, of an account that counts them. */
export interface ReadyQueue {
  readonly account: { size: number };
}

/** What goes into one request for one user. */
export interface Selection {
  readonly cells: readonly Cell[];
  readonly account: string;
}

/** Waiting blocks of one kind and spelling that nothing of another kind precedes. */
interface Run {
  /** Those with blocks in it, in the order of their first ones. */
  readonly queues: readonly PendingBlocks[];
  /** The first block that is not in it. */
  readonly end: Cell | null;
}

/** So few entries are worth no look at which of them are covered. */
const fewItems = 16;

/** With more blocks than a request takes, so many times more are looked at for those that should go first. */
const lookAhead = 2;

export class User implements ItemOwner {
  /** In order of their numbers. */
  items: Item[] = empty;
  /** Cells of the request in flight, or null. */
  flight: readonly Cell[] | null = null;
  /** Monotonic ms before which nothing of this user is sent (after a failure). */
  notBeforeMs = 0;
  /** When it is looked at again, as far as that was asked for last. */
  delayedUntilMs = -Infinity;
  /** Failures in a row. */
  failures = 0;
  /** At most so many blocks in the next request: halved when a body of this user alone was refused. */
  blockLimit = Infinity;
  /** Held in a group that is being searched for what the service refused. */
  isolated = false;
  /** The ready queue that holds this user; a stale place in another queue is skipped. */
  queue: ReadyQueue | null = null;
  private ambiguous: AmbiguousRequests | null = null;
  /** Blocks that wait, and those of entries with a removal. */
  private waiting = 0;
  private removing = 0;
  /** By key; null while there has been one block only, which needs no order. */
  private segments: Map<string, SegmentCells> | null = null;
  private queues: PendingBlocks[] = empty;
  /** The kind of the first block that has a place in that order, and whether others came since. */
  private kind: string | null = null;
  private mixed = false;
  /** For the next merge: what may have neighbours that it was not compared with. */
  private changed: Cell[] = empty;
  /** For the next merge: something older may wait than what has ended. */
  private disturbed = false;
  private closed: Item[] = empty;
  /** With so many entries it is worth looking which are covered. */
  private coveredFrom = fewItems;
  private dueCells: Cell[] = empty;

  constructor(
    readonly key: string,
    readonly hash: number,
  ) {}

  // ── Entries come and go ─────────────────────────────────────────────────────────────────────────────────────

  /** Adds an entry in its place; rows read from disk may be older than what is here. */
  add(item: Item): void {
    const { items } = this;
    const last = items.at(-1);
    const isLast = last === undefined || last.seq <= item.seq;
    if (isLast) this.items = withOneMore(items, item);
    else items.splice(this.placeOf(item.seq), 0, item);
    item.owner = this;
    if (!isLast || item.open === 0) this.disturbed = true;
    if (item.row === 'tombstone') this.itemClosed(item);
    for (const cell of item.cells) if (cell.state === 'waiting') this.count(cell, 1);
    if (this.segments !== null) this.linkAll(item);
    else if (this.items.length > 1 || item.cells.length > 1) {
      this.segments = new Map();
      for (const each of this.items) this.linkAll(each);
    }
  }

  /** Index of the first entry with a number above `seq`. */
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

  /** Takes off an entry that was added last, as if it had never come. False when it is gone already. */
  untake(item: Item): boolean {
    if (this.items.at(-1) !== item) return false;
    for (const cell of item.cells.toReversed()) {
      const { absorbed } = cell;
      cell.absorbed = null;
      // No more than ended: nobody hears of it.
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

  /**
   * Takes the entries off that no longer matter: the settled ones before the first that is not. `coveredToo`: it
   * matters which of them are covered.
   */
  takeRetired(coveredToo = false): readonly Item[] {
    const { items } = this;
    let count = 0;
    while (count < items.length && items[count]!.settled) count += 1;
    if (count === 0) return none;
    const all = count === items.length;
    const retired = all ? items : items.splice(0, count);
    if (coveredToo) for (const item of retired) item.covered = this.covers(item);
    if (all) this.forgetAll();
    for (const item of retired) this.release(item);
    return retired;
  }

  /** Takes off those that newer ones cover, wherever they are. Looks for them only when there may be many. */
  takeCovered(): readonly Item[] {
    if (this.items.length < this.coveredFrom) return none;
    const kept: Item[] = [];
    const covered: Item[] = [];
    for (const item of this.items) {
      item.covered = item.settled && this.covers(item);
      (item.covered ? covered : kept).push(item);
    }
    this.items = kept;
    this.coveredFrom = 2 * kept.length + fewItems;
    for (const item of covered) this.release(item);
    return covered;
  }

  /** Whether whatever a settled entry did was done again by newer ones that have ended. */
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

  /** Takes off entries that changed nothing at the service, wherever they are. */
  takeRejected(): readonly Item[] {
    const rejected = this.items.filter((item) => item.open === 0 && item.changedNothing);
    if (rejected.length === 0) return none;
    this.items = this.items.filter((item) => item.open > 0 || !item.changedNothing);
    for (const item of rejected) this.release(item);
    return rejected;
  }

  private release(item: Item): void {
    item.owner = null;
    for (const cell of item.cells) this.unlink(cell);
  }

  /** The entries that have ended since this was called last, and are still here. */
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
    // One that comes back from a request is no newer than before, and nothing newer went meanwhile.
    if (before !== 'inFlight') this.disturbed = true;
    if (cell.segment === null) {
      this.link(cell, this.segments);
      return;
    }
    this.queueOf(cell).add(cell);
    this.changed = withOneMore(this.changed, cell);
  }

  /** What it had covered counts again. */
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

  /** Puts a block among those of its segment. */
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
   * Lets newer blocks absorb older ones that wait, and wakes ended ones that an older block of the other kind
   * would undo. Returns cells that ended by it (covered by a block that ended before they were sent). Not while a
   * request is in flight, since what it holds may still wait again.
   */
  merge(): readonly Cell[] {
    if (this.flight !== null || (this.changed.length === 0 && !this.disturbed)) return none;
    const covered: Cell[] = [];
    this.meetChanged(covered);
    if (this.disturbed && this.mixed) {
      this.wakeUndone();
      this.meetChanged(covered);
    }
    this.disturbed = false;
    return covered;
  }

  private meetChanged(covered: Cell[]): void {
    const { changed } = this;
    this.changed = empty;
    for (const cell of changed) {
      while (this.meet(cell.older, cell, covered));
      this.meet(cell, cell.newer, covered);
    }
  }

  /** Two blocks of one segment with nothing between them. True when only the newer one is left. */
  private meet(older: Cell | null, newer: Cell | null, covered: Cell[]): boolean {
    if (older === null || newer === null) return false;
    if (older.state === 'waiting') this.absorb(older, newer, covered);
    // It tells nothing any more that the newer one does not.
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
   * An older block of another kind is about to go: what went ahead of it goes again, after it. So does what a newer block
   * of its segment is about to replace: should that one be rejected or given up, nothing else would say it again.
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
   * The blocks of the next request, removals first (of a search, those refused before last), all of one kind and spelling and of one account, at most
   * `limit`. `login` names the account whose login serves an entry's account now, or null while there is none.
   * Call `merge` before. Null when nothing can go. `held` blocks stay; others of their kind may go ahead of them. They go
   * when a removal of another kind waits behind them.
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
      // Those not refused yet go first: what stands in the way must not keep them waiting.
      const places: Cell[][] = [[], [], [], []];
      for (const cell of cells) {
        const removes = sentExpiration(cell, nowMonoMs) === -1;
        places[(cell.refusedAtMs < Infinity ? 2 : 0) + (removes ? 0 : 1)]!.push(cell);
      }
      cells = places.flat().slice(0, most);
    }
    return { cells, account };
  }

  /** The accounts of the blocks that the next request may take. One in `waits` has at least one. */
  nextAccounts(held: Held = nobody): readonly string[] {
    const only = this.onlyCell();
    if (only !== null) return [only.item.source.account];
    const { queues, end } = this.firstRun();
    const holds = this.holdsNow(held, end);
    const free = queues.filter((queue) => holds === nobody || candidates(queue, end, holds, 1).length > 0);
    return [...new Set(free.map(({ sort }) => sort.account))];
  }

  /** The one block there is, for the usual case. */
  private onlyCell(): Cell | null {
    const { items } = this;
    if (items.length !== 1) return null;
    const { cells } = items[0]!;
    return cells.length === 1 ? cells[0]! : null;
  }

  /** The earliest of `until` over the blocks that may go next: when the first of them may. One in `waits` has some. */
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
   * Whether a removal waits for blocks of another kind to go first. It may be from the same segment as an add that is
   * held, so it cannot overtake that; and it must not wait as long.
   */
  private removalBehind(end: Cell | null): boolean {
    if (end === null) return false;
    return this.queues.some(({ sort, last }) => sort.removes && last !== null && inOrder(last, end) >= 0);
  }

  /** The blocks that wait of the entries up to a number. */
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

  /** The request in flight ended without a reply of the service's own: it may run until `untilMs`. */
  suspect(cells: readonly Cell[], untilMs: number): void {
    this.ambiguous ??= new AmbiguousRequests();
    this.ambiguous.add(cells, untilMs);
  }

  /** The same for a request of which only the user is known. */
  suspectAll(untilMs: number): void {
    this.ambiguous ??= new AmbiguousRequests();
    this.ambiguous.addUnknown(untilMs);
  }

  /** Lost requests may run for so much longer. Whether there are any. */
  slept(forMs: number): boolean {
    this.ambiguous?.slept(forMs);
    return this.ambiguous !== null;
  }

  /** Monotonic ms until which a lost request may run, -Infinity when there is none. */
  get suspectUntilMs(): number {
    return this.ambiguous?.untilMs ?? -Infinity;
  }

  /** Whether a lost request may have run until now: `clearSuspects` forgets it. */
  suspectsOver(nowMs: number): boolean {
    return this.ambiguous !== null && this.ambiguous.untilMs <= nowMs;
  }

  /** Whether a lost request may still undo `cell`, which was sent at `sentMs` and accepted. */
  mayBeUndone(cell: Cell, sentMs: number): boolean {
    return this.ambiguous?.mayUndo(cell, sentMs) ?? false;
  }

  /** Whether a block that ended here may be sent once more: everything known here came later, so it goes first. */
  takesBack(cell: Cell): boolean {
    if (this.flight !== null || this.ambiguous !== null) return false;
    const [first] = this.items;
    return first === undefined || first.seq > cell.item.seq;
  }

  /** The lost requests can no longer run: forgets them and wakes what is to be repeated. */
  clearSuspects(nowMs: number): void {
    if (this.suspectUntilMs > nowMs) return;
    this.ambiguous = null;
    const due = this.dueCells;
    this.dueCells = empty;
    for (const cell of due) if (cell.due && cell.item.owner === this) wake(cell);
  }

  /** Nothing left to know about this user. */
  get idle(): boolean {
    return this.items.length === 0 && this.flight === null && this.ambiguous === null;
  }
}

const none: readonly never[] = [];
/** Stands for every list that holds nothing, as nearly every user has one entry with one block. Nothing is ever put into it. */
const empty: never[] = [];

function withOneMore<T>(list: T[], one: T): T[] {
  if (list.length === 0) return [one];
  list.push(one);
  return list;
}

/** Whether a block may not go yet though nothing of its user is in the way. */
export type Held = (cell: Cell) => boolean;

const nobody: Held = () => false;

/** Of a queue what may go next: not all of it when that is much, but what `most` should be chosen from. */
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

/** Both lists in one, without copying the longer; the newest of all is the last. */
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
