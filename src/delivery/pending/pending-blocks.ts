// Pending blocks of one user that wait, in order. A block may leave from any position: its position is skipped,
// and empty positions are removed in bulk, so that each operation has a constant amortised cost.

import { inOrder, type PendingBlock, type WaitingList } from './pending-entry';

/** Number of empty positions that are not worth removing. */
const slack = 64;

/** Properties that all blocks of one list share; the scheduler chooses by them. */
export interface Sort {
  readonly account: string;
  readonly removes: boolean;
  /** Whether a body with these blocks was refused. */
  readonly refused: boolean;
}

export class PendingBlocks implements WaitingList {
  private blocks: PendingBlock[] = [];
  /** Every position before this one is empty. */
  private head = 0;
  /** Blocks that wait before `runEnd` are of this kind. */
  private runKind = '';
  private runEnd = 0;
  private waiting = 0;

  constructor(readonly sort: Sort) {}

  /** Adds a block that waits, perhaps again. */
  add(block: PendingBlock): void {
    this.waiting += 1;
    const { blocks } = this;
    const last = blocks.at(-1);
    if (last === undefined || inOrder(last, block) < 0) blocks.push(block);
    else this.addAmong(block);
    block.queue = this;
  }

  private addAmong(block: PendingBlock): void {
    let at = this.placeOf(block);
    const isNew = block.queue !== this;
    if (isNew && at === this.head && at > 0) {
      at = this.head -= 1;
      this.blocks[at] = block;
    } else if (isNew) {
      this.blocks.splice(at, 0, block);
      if (at < this.runEnd) this.runEnd += 1;
    }
    if (at < this.runEnd && block.segment!.kind !== this.runKind) this.runEnd = at;
  }

  /** Index of the first position, empty or not, that is not before `block`. */
  private placeOf(block: PendingBlock): number {
    let low = this.head;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (inOrder(this.blocks[middle]!, block) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Empties the list. Otherwise a block that is held elsewhere for a resend would keep all the others in
   * memory.
   */
  clear(): void {
    this.blocks = [];
    this.head = 0;
    this.runEnd = 0;
  }

  left(): void {
    this.waiting -= 1;
    if (this.blocks.length > 2 * this.waiting + slack) this.tidy();
  }

  private tidy(): void {
    const kept: PendingBlock[] = [];
    for (let at = this.head; at < this.blocks.length; at += 1) {
      const block = this.blocks[at]!;
      if (this.holds(block)) kept.push(block);
      else this.discard(block);
    }
    this.blocks = kept;
    this.head = 0;
    this.runEnd = 0;
  }

  /** Whether the block still waits in this list. */
  private holds(block: PendingBlock): boolean {
    return block.state === 'waiting' && block.queue === this;
  }

  private discard(block: PendingBlock): void {
    if (block.queue === this) block.queue = null;
  }

  get first(): PendingBlock | null {
    if (this.waiting === 0) return null;
    for (;;) {
      const block = this.blocks[this.head]!;
      if (this.holds(block)) return block;
      this.discard(block);
      this.head += 1;
    }
  }

  get last(): PendingBlock | null {
    if (this.waiting === 0) return null;
    for (;;) {
      const block = this.blocks.at(-1)!;
      if (this.holds(block)) return block;
      this.discard(block);
      this.blocks.pop();
      this.runEnd = Math.min(this.runEnd, this.blocks.length);
    }
  }

  /** The first block of another kind than `first`. */
  get firstOfAnotherKind(): PendingBlock | null {
    const { first, blocks } = this;
    if (first === null) return null;
    if (this.runEnd <= this.head) {
      this.runKind = first.segment!.kind;
      this.runEnd = this.head + 1;
    }
    while (this.runEnd < blocks.length) {
      const block = blocks[this.runEnd]!;
      if (this.holds(block) && block.segment!.kind !== this.runKind) return block;
      this.runEnd += 1;
    }
    return null;
  }

  /** Yields the blocks before `end` (null: all), in order. */
  *before(end: PendingBlock | null): Iterable<PendingBlock> {
    for (let at = this.head; at < this.blocks.length; at += 1) {
      const block = this.blocks[at]!;
      if (!this.holds(block)) continue;
      if (end !== null && inOrder(block, end) >= 0) return;
      yield block;
    }
  }
}
