// Pending blocks of one user that wait, in order. A block may leave from any position: its position is skipped,
// and empty positions are removed in bulk, so that each operation has a constant amortised cost.

import { inOrder, type Cell, type CellQueue } from './item';

/** Number of empty positions that are not worth removing. */
const slack = 64;

/** Properties that all blocks of one list share; the scheduler chooses by them. */
export interface Sort {
  readonly account: string;
  readonly removes: boolean;
  /** Whether a body with these blocks was refused. */
  readonly refused: boolean;
}

export class PendingBlocks implements CellQueue {
  private cells: Cell[] = [];
  /** Every position before this one is empty. */
  private head = 0;
  /** Blocks that wait before `runEnd` are of this kind. */
  private runKind = '';
  private runEnd = 0;
  private waiting = 0;

  constructor(readonly sort: Sort) {}

  /** Adds a block that waits, perhaps again. */
  add(cell: Cell): void {
    this.waiting += 1;
    const { cells } = this;
    const last = cells.at(-1);
    if (last === undefined || inOrder(last, cell) < 0) cells.push(cell);
    else this.addAmong(cell);
    cell.queue = this;
  }

  private addAmong(cell: Cell): void {
    let at = this.placeOf(cell);
    const isNew = cell.queue !== this;
    if (isNew && at === this.head && at > 0) {
      at = this.head -= 1;
      this.cells[at] = cell;
    } else if (isNew) {
      this.cells.splice(at, 0, cell);
      if (at < this.runEnd) this.runEnd += 1;
    }
    if (at < this.runEnd && cell.segment!.kind !== this.runKind) this.runEnd = at;
  }

  /** Index of the first position, empty or not, that is not before `cell`. */
  private placeOf(cell: Cell): number {
    let low = this.head;
    let high = this.cells.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (inOrder(this.cells[middle]!, cell) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Empties the list. Otherwise a block that is held elsewhere for a resend would keep all the others in
   * memory.
   */
  clear(): void {
    this.cells = [];
    this.head = 0;
    this.runEnd = 0;
  }

  left(): void {
    this.waiting -= 1;
    if (this.cells.length > 2 * this.waiting + slack) this.tidy();
  }

  private tidy(): void {
    const kept: Cell[] = [];
    for (let at = this.head; at < this.cells.length; at += 1) {
      const cell = this.cells[at]!;
      if (this.holds(cell)) kept.push(cell);
      else this.discard(cell);
    }
    this.cells = kept;
    this.head = 0;
    this.runEnd = 0;
  }

  /** Whether the block still waits in this list. */
  private holds(cell: Cell): boolean {
    return cell.state === 'waiting' && cell.queue === this;
  }

  private discard(cell: Cell): void {
    if (cell.queue === this) cell.queue = null;
  }

  get first(): Cell | null {
    if (this.waiting === 0) return null;
    for (;;) {
      const cell = this.cells[this.head]!;
      if (this.holds(cell)) return cell;
      this.discard(cell);
      this.head += 1;
    }
  }

  get last(): Cell | null {
    if (this.waiting === 0) return null;
    for (;;) {
      const cell = this.cells.at(-1)!;
      if (this.holds(cell)) return cell;
      this.discard(cell);
      this.cells.pop();
      this.runEnd = Math.min(this.runEnd, this.cells.length);
    }
  }

  /** The first block of another kind than `first`. */
  get firstOfAnotherKind(): Cell | null {
    const { first, cells } = this;
    if (first === null) return null;
    if (this.runEnd <= this.head) {
      this.runKind = first.segment!.kind;
      this.runEnd = this.head + 1;
    }
    while (this.runEnd < cells.length) {
      const cell = cells[this.runEnd]!;
      if (this.holds(cell) && cell.segment!.kind !== this.runKind) return cell;
      this.runEnd += 1;
    }
    return null;
  }

  /** Yields the blocks before `end` (null: all), in order. */
  *before(end: Cell | null): Iterable<Cell> {
    for (let at = this.head; at < this.cells.length; at += 1) {
      const cell = this.cells[at]!;
      if (!this.holds(cell)) continue;
      if (end !== null && inOrder(cell, end) >= 0) return;
      yield cell;
    }
  }
}
