// One user's entries in memory: merging, what may go in the next request, and what must stay known after it went.
//
// Pure: no clock, no queue. The rules (design section 4, promises 1, 2 and 8):
// - Per segment the newest block counts; older ones that were not sent are absorbed by it and share its end.
// - Blocks by id and blocks by code may name the same segment, and so may two spellings of one user: such
//   groups never share a request and go in the order in which they came.
// - An ended entry stays known while an older one of the same user has not ended, since the older one may still
//   be sent and must not undo it.

import { cellKey, orderKind, sentExpiration, type Cell, type Item } from './item';
import type { LaneQueue } from './ready';

/** What goes into one request for one user. */
export interface Selection {
  readonly cells: readonly Cell[];
  readonly account: string;
}

/** A lost request that may still run until `untilMs`: what it held, to tell a newer state from a mere retry. */
interface Suspect {
  readonly cell: Cell;
  readonly sentExpired: boolean;
  readonly untilMs: number;
}

export class User {
  /** In order of their numbers. */
  items: Item[] = [];
  /** Cells of the request in flight, or null. */
  flight: readonly Cell[] | null = null;
  /** Monotonic ms before which nothing of this user is sent (after a failure). */
  notBeforeMs = 0;
  /** Failures in a row. */
  failures = 0;
  /** At most so many blocks in the next request: halved when a body of this user alone was refused. */
  blockLimit = Infinity;
  /** Held in a group that is being searched for what the service refused. */
  isolated = false;
  /** The ready queue that holds this user; a stale place in another queue is skipped. */
  queue: LaneQueue | null = null;
  private suspects: readonly Suspect[] = none;
  /** A lost request of an earlier process, of which only the user is known, may run until then. */
  private suspectAllUntilMs = -Infinity;

  constructor(
    readonly key: string,
    readonly hash: number,
  ) {}

  /** Adds an entry in its place; rows read from disk may be older than what is here. */
  add(item: Item): void {
    const items = this.items;
    if (items.length === 0) {
      this.items = [item];
      return;
    }
    let at = items.length;
    while (at > 0 && items[at - 1]!.seq > item.seq) at -= 1;
    if (at === items.length) items.push(item);
    else items.splice(at, 0, item);
  }

  has(seq: number): boolean {
    return this.items.some((item) => item.seq === seq);
  }

  /** Whether a removal waits. */
  get removes(): boolean {
    for (const item of this.items) if (item.entry.removes && item.waits) return true;
    return false;
  }

  get waits(): boolean {
    for (const item of this.items) if (item.waits) return true;
    return false;
  }

  /**
   * Lets newer blocks absorb older ones that wait, and wakes ended ones that an older block of the other kind
   * would undo. Returns cells that ended by it (covered by a block that ended before they were sent).
   */
  merge(): readonly Cell[] {
    if (this.items.length === 0 || this.onlyCell() !== null) return none;
    const newest = new Map<string, Cell>();
    const covered: Cell[] = [];
    for (const item of this.items) {
      for (const cell of item.cells) {
        if (cell.state === 'absorbed' || cell.rejected) continue;
        const key = cellKey(cell);
        const older = newest.get(key);
        if (older?.state === 'waiting') absorb(older, cell, covered);
        newest.set(key, cell);
      }
    }
    this.wakeUndone(newest);
    return covered;
  }

  /** An older block of another kind is about to go: what went ahead of it goes again, after it. */
  private wakeUndone(newest: ReadonlyMap<string, Cell>): void {
    const waitingKinds = new Set<string>();
    for (const cell of inOrder(newest.values())) {
      const kind = orderKind(cell);
      const undone = waitingKinds.size > (waitingKinds.has(kind) ? 1 : 0);
      if (cell.state === 'ended' && undone) wake(cell);
      if (cell.state === 'waiting') waitingKinds.add(kind);
    }
  }

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
    const waiting = this.firstRun(held);
    let account: string | null = null;
    let cells: Cell[] = [];
    for (const cell of waiting) {
      const its = login(cell.item.source.account);
      account ??= its;
      if (its !== null && its === account) cells.push(cell);
    }
    if (account === null) return null;
    const most = Math.min(limit, this.blockLimit);
    if (cells.length > most) {
      // Those not refused yet go first: what stands in the way must not keep them waiting.
      const place = (cell: Cell): number =>
        (cell.refusedAtMs < Infinity ? 2 : 0) + (sentExpiration(cell, nowMonoMs) === -1 ? 0 : 1);
      cells = [0, 1, 2, 3].flatMap((each) => cells.filter((cell) => place(cell) === each)).slice(0, most);
    }
    return { cells, account };
  }

  /** The accounts of the blocks that the next request may take. One in `waits` has at least one. */
  nextAccounts(held: Held = nobody): readonly string[] {
    const only = this.onlyCell();
    if (only !== null) return [only.item.source.account];
    return [...new Set(this.firstRun(held).map((cell) => cell.item.source.account))];
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
    if (this.removalBehind) return -Infinity;
    let freeAtMs = Infinity;
    for (const cell of this.firstRun(nobody)) freeAtMs = Math.min(freeAtMs, until(cell));
    return freeAtMs;
  }

  /** Waiting cells up to the first of another kind, those that are held left out unless a removal waits behind them. */
  private firstRun(held: Held): Cell[] {
    const run: Cell[] = [];
    const holds = held !== nobody && !this.removalBehind;
    let kind: string | null = null;
    for (const item of this.items) {
      for (const cell of item.cells) {
        if (cell.state !== 'waiting') continue;
        kind ??= orderKind(cell);
        if (orderKind(cell) !== kind) return run;
        if (!holds || !held(cell)) run.push(cell);
      }
    }
    return run;
  }

  /**
   * Whether a removal waits for blocks of another kind to go first. It may be from the same segment as an add that is
   * held, so it cannot overtake that; and it must not wait as long.
   */
  private get removalBehind(): boolean {
    let kind: string | null = null;
    let behind = false;
    for (const item of this.items) {
      for (const cell of item.cells) {
        if (cell.state !== 'waiting') continue;
        kind ??= orderKind(cell);
        behind ||= orderKind(cell) !== kind;
        if (behind && cell.block.expiration === -1) return true;
      }
    }
    return false;
  }

  /** The request in flight ended without a reply of the service's own: it may run until `untilMs`. */
  suspect(cells: readonly Cell[], untilMs: number): void {
    const lost = cells.map((cell) => ({ cell, sentExpired: cell.sentExpired, untilMs }));
    this.suspects = [...this.suspects, ...lost];
  }

  /** The same for a request of which only the user is known. */
  suspectAll(untilMs: number): void {
    this.suspectAllUntilMs = Math.max(this.suspectAllUntilMs, untilMs);
  }

  /** Lost requests may run for so much longer. Whether there are any. */
  slept(forMs: number): boolean {
    if (this.suspectUntilMs === -Infinity) return false;
    this.suspects = this.suspects.map((lost) => ({ ...lost, untilMs: lost.untilMs + forMs }));
    this.suspectAllUntilMs += forMs;
    return true;
  }

  /** Monotonic ms until which a lost request may run, -Infinity when there is none. */
  get suspectUntilMs(): number {
    let untilMs = this.suspectAllUntilMs;
    for (const suspect of this.suspects) untilMs = Math.max(untilMs, suspect.untilMs);
    return untilMs;
  }

  /** Whether a lost request may have run until now: `clearSuspects` forgets it. */
  suspectsOver(nowMs: number): boolean {
    const untilMs = this.suspectUntilMs;
    return untilMs > -Infinity && untilMs <= nowMs;
  }

  /** Whether a lost request may still undo `cell`, which was sent at `sentMs` and accepted. */
  mayBeUndone(cell: Cell, sentMs: number): boolean {
    if (sentMs < this.suspectAllUntilMs) return true;
    if (this.suspects.length === 0) return false;
    return this.suspects.some(
      (lost) =>
        sentMs < lost.untilMs &&
        (cellKey(lost.cell) === cellKey(cell)
          ? lost.cell !== cell || lost.sentExpired !== cell.sentExpired
          : orderKind(lost.cell) !== orderKind(cell)),
    );
  }

  /** Whether a block that ended here may be sent once more: everything known here came later, so it goes first. */
  takesBack(cell: Cell): boolean {
    if (this.flight !== null || this.suspectUntilMs > -Infinity) return false;
    return this.items.every(({ seq }) => seq > cell.item.seq);
  }

  /** The lost requests can no longer run: forgets them and wakes what is to be repeated. */
  clearSuspects(nowMs: number): void {
    this.suspects = this.suspects.filter((lost) => lost.untilMs > nowMs);
    if (this.suspectAllUntilMs <= nowMs) this.suspectAllUntilMs = -Infinity;
    if (this.suspectUntilMs > nowMs) return;
    for (const item of this.items) {
      for (const cell of item.cells) {
        if (cell.due) wake(cell);
      }
    }
  }

  /** Takes the entries off that no longer matter: the settled ones before the first that is not. */
  takeRetired(): readonly Item[] {
    const items = this.items;
    let count = 0;
    while (count < items.length && items[count]!.settled) count += 1;
    if (count === 0) return none;
    if (count === items.length) {
      this.items = [];
      return items;
    }
    return items.splice(0, count);
  }

  /** Nothing left to know about this user. */
  get idle(): boolean {
    return this.items.length === 0 && this.flight === null && this.suspectUntilMs === -Infinity;
  }
}

const none: readonly never[] = [];

/** Whether a block may not go yet though nothing of its user is in the way. */
export type Held = (cell: Cell) => boolean;

const nobody: Held = () => false;

function inOrder(cells: Iterable<Cell>): Cell[] {
  return [...cells].sort((a, b) => a.item.seq - b.item.seq || a.index - b.index);
}

function wake(cell: Cell): void {
  cell.state = 'waiting';
  cell.again = true;
  cell.due = false;
}

function absorb(older: Cell, newer: Cell, covered: Cell[]): void {
  if (newer.state === 'ended') {
    for (const each of [older, ...(older.absorbed ?? [])]) {
      each.due = newer.due;
      covered.push(each);
    }
    older.absorbed = null;
    return;
  }
  newer.absorbed ??= [];
  newer.absorbed.push(older, ...(older.absorbed ?? []));
  older.absorbed = null;
  older.state = 'absorbed';
}
