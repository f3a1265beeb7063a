// One entry in memory, and its blocks on their way.

import type { Block, BlockKind, CheckedEntry } from '../../entry/entry';
import type { RowState, Source } from '../../queue/store';
import { groupedBlocks } from './grouped-blocks';
import type { PendingMessage } from '../pending-messages';

/** How a block ended. `superseded` blocks end with the block that covers them. */
export type End = 'accepted' | 'superseded' | 'expired' | 'rejected';

export type CellState = 'waiting' | 'inFlight' | 'absorbed' | 'ended';

/** Keeps an entry's blocks among the others of its user, so it has to know what changes. */
export interface ItemOwner {
  /** A block is in another state than `before`. */
  cellChanged(cell: Cell, before: CellState): void;
  /** A block is to be sent once more. */
  cellDue(cell: Cell): void;
  /** The last open block of an entry has ended. */
  itemClosed(item: Item): void;
}

/** Where a block waits. */
export interface CellQueue {
  /** One of its blocks waits no longer. */
  left(): void;
}

/** The blocks of one user that name one segment in one spelling. */
export interface SegmentCells {
  readonly key: string;
  readonly kind: string;
  /** The newest of those that were neither absorbed nor rejected. */
  newest: Cell | null;
  /** The one that came last: the next one's place is mostly beside it. */
  latest: Cell | null;
}

/** One block of one entry on its way. */
export class Cell {
  /** Ended and reported before; whatever happens now is not counted again. */
  again = false;
  /** Older cells that share this one's end; the newest of them is the last. */
  absorbed: Cell[] | null = null;
  /** Monotonic ms when a body with this block was first refused; Infinity never. */
  refusedAtMs = Infinity;
  /** As last sent: as a removal because its time had passed. */
  sentExpired = false;
  /** Ended by the service's refusal: it changed nothing there, so it covers nothing. */
  rejected = false;
  /** Its place among the cells of its segment, kept by its user. */
  segment: SegmentCells | null = null;
  older: Cell | null = null;
  newer: Cell | null = null;
  /** The queue in which it has a place, which counts while it waits. */
  queue: CellQueue | null = null;
  private current: CellState = 'waiting';
  private isDue = false;

  constructor(
    readonly item: Item,
    /** Its place among the blocks of its entry, in the order in which they go. */
    readonly index: number,
    readonly block: Block,
  ) {}

  /** Its place in its entry as it came, for whoever made that. */
  get place(): number {
    const { blocks } = this.item.entry;
    return blocks[this.index] === this.block ? this.index : blocks.indexOf(this.block);
  }

  get state(): CellState {
    return this.current;
  }

  set state(next: CellState) {
    const before = this.current;
    if (next === before) return;
    this.current = next;
    const { item } = this;
    if (next === 'ended') item.unended -= 1;
    else if (before === 'ended') item.unended += 1;
    item.owner?.cellChanged(this, before);
  }

  /** Ended, to be sent once more when a lost request can no longer run. */
  get due(): boolean {
    return this.isDue;
  }

  set due(due: boolean) {
    if (due && !this.isDue) this.item.owner?.cellDue(this);
    this.isDue = due;
  }
}

/** One entry in memory. */
export class Item {
  readonly cells: readonly Cell[];
  /** Cells that have not ended for the first time. */
  open: number;
  /** Cells in another state than `ended`. */
  unended: number;
  /** The user among whose entries it is. */
  owner: ItemOwner | null = null;
  /** Its blocks that were sent before their time had passed, and those that were not. */
  acceptedBlocks = 0;
  expiredBlocks = 0;
  rejection: { readonly code: string; readonly message: string } | null = null;
  /** Something of it was not sent, for a purge's, an erasure's or a closed node's sake. */
  discarded = false;
  warnings: string[] | null = null;
  /** Newer ones that have ended tell all that it does; known once it is taken off. */
  covered = false;
  /** Its user had others in memory when it came there: the read-ahead counts it apart. */
  further = false;

  constructor(
    readonly seq: number,
    readonly entry: CheckedEntry,
    readonly source: Source,
    /** Monotonic ms of the event; its age counts from here. */
    readonly eventMonoMs: number,
    readonly takenWallMs: number,
    /** The row's state in the store; null once it is to be removed. */
    public row: RowState | null,
    public pendingMessage: PendingMessage | null,
  ) {
    const blocks = groupedBlocks(entry.blocks);
    const cells = new Array<Cell>(blocks.length);
    for (let i = 0; i < blocks.length; i += 1) cells[i] = new Cell(this, i, blocks[i]!);
    this.cells = cells;
    this.open = blocks.length;
    this.unended = blocks.length;
    if (row !== 'waiting') this.markReported();
  }

  /** An entry that was reported in an earlier life: a tombstone ends here, a repeat is sent once more uncounted. */
  private markReported(): void {
    this.open = 0;
    for (const cell of this.cells) {
      cell.again = true;
      if (this.row === 'tombstone') cell.state = 'ended';
    }
  }

  /** One of its blocks has ended for the first time. True when it was the last. */
  blockEnded(): boolean {
    this.open -= 1;
    if (this.open > 0) return false;
    this.owner?.itemClosed(this);
    return true;
  }

  /** Whether nothing of it is to be sent any more. */
  get settled(): boolean {
    if (this.unended > 0) return false;
    for (const cell of this.cells) if (cell.due) return false;
    return true;
  }

  /**
   * Taken in this life, and the service has nothing of it: all of it was rejected, or what was not given up was covered
   * by newer ones. An entry that was covered entirely counts in its own place, too.
   */
  get hadNoEffect(): boolean {
    if (this.row !== 'waiting' || this.acceptedBlocks + this.expiredBlocks > 0) return false;
    return this.discarded || this.changedNothing;
  }

  /** Whether the service refused all of it. */
  get changedNothing(): boolean {
    for (const cell of this.cells) if (!cell.rejected) return false;
    return true;
  }
}

/** Minutes to send: aged, -1 for what has passed, null to leave the key out. */
export function sentExpiration(cell: Cell, nowMonoMs: number): number | null {
  const given = cell.block.expiration;
  if (given === null || given <= 0 || !cell.item.entry.ages) return given;
  const waitedMinutes = Math.floor(Math.max(0, nowMonoMs - cell.item.eventMonoMs) / 60_000);
  const left = given - waitedMinutes;
  return left >= 1 ? left : -1;
}

/** By which two blocks of a user meet. */
export function cellKey(cell: Cell): string {
  const spelling = cell.item.entry.spelling;
  return spelling === '' ? cell.block.key : `${spelling}\n${cell.block.key}`;
}

/** Cells of different order kinds may mean the same membership without showing it. */
export function orderKind(cell: Cell): string {
  const kind: BlockKind = cell.block.kind;
  const spelling = cell.item.entry.spelling;
  return spelling === '' ? kind : `${kind}\n${spelling}`;
}

/** Below 0 when `a` comes before `b`. */
export function inOrder(a: Cell, b: Cell): number {
  return a.item.seq - b.item.seq || a.index - b.index;
}
