// Coalescing: the blocks of one user by segment. Each is linked to its neighbours of the same segment, so that newer blocks
// replace older ones without a look at all of them; changes are collected for the next merge.

import { cellKey, inOrder, orderKind, wake } from './item';
import type { Cell, Item, SegmentCells } from './item';

/** Below this number of entries the search for covered ones is not worth its cost. */
const fewItems = 16;

export class Coalescing {
  /** Number of entries from which the search for covered ones is worth its cost. */
  coveredFrom = fewItems;
  private readonly segments = new Map<string, SegmentCells>();
  /** Kind of the first linked block, and whether blocks of other kinds were linked later. */
  private kind: string | null = null;
  private mixed = false;
  /** For the next merge: blocks that may have new neighbours. */
  private changed: Cell[] = [];
  /** For the next merge: a waiting block may be older than an ended one. */
  private disturbed = true;

  /** Links a block to its neighbours of the same segment. */
  link(cell: Cell): void {
    const { segments } = this;
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
    this.changed.push(cell);
  }

  unlink(cell: Cell): void {
    const { segment, older, newer } = cell;
    if (segment === null) return;
    if (older !== null) older.newer = newer;
    if (newer !== null) newer.older = older;
    else segment.newest = older;
    if (segment.latest === cell) segment.latest = newer ?? older;
    if (segment.newest === null) this.segments.delete(segment.key);
    cell.segment = null;
    cell.older = null;
    cell.newer = null;
  }

  /** A linked block waits again, or has ended. */
  change(cell: Cell): void {
    if (cell.segment !== null) this.changed.push(cell);
  }

  /** A waiting block may be older than an ended one. */
  disturb(): void {
    this.disturbed = true;
  }

  /** Blocks that a rejected block had covered count again. */
  unlinkRejected(cell: Cell): void {
    const { older, newer } = cell;
    this.unlink(cell);
    if (older === null) return;
    this.changed.push(older);
    if (newer === null && older.state === 'ended') this.disturbed = true;
  }

  /** See `User.merge`. */
  merge(): readonly Cell[] {
    const covered: Cell[] = [];
    if (this.changed.length === 0 && !this.disturbed) return covered;
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
    this.changed = [];
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
    for (const { newest } of this.segments.values()) {
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

  /** Whether newer ended blocks repeat every effect of a settled entry. */
  covers(item: Item): boolean {
    for (const cell of item.cells) {
      if (cell.rejected) continue;
      const newest = this.segments.get(cell.segment?.key ?? cellKey(cell))?.newest;
      if (newest?.state !== 'ended' || newest.item.open > 0 || inOrder(newest, cell) <= 0) return false;
    }
    return true;
  }

  /** The search for covered entries left so many. */
  searched(left: number): void {
    this.coveredFrom = 2 * left + fewItems;
  }
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
