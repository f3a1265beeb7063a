// Pending entry with its blocks (cells) and their states.

import type { Block, BlockKind, CheckedEntry } from '../../entry/entry';
import type { NewRow, RowState, Source } from '../../queue/store';
import { groupedBlocks } from './grouped-blocks';
import type { Ending, PendingMessage } from '../pending-messages';

/** How a block ended. A `superseded` block ends together with the newer block that replaces it. */
export type End = 'accepted' | 'superseded' | 'expired' | 'rejected';

export type CellState = 'waiting' | 'inFlight' | 'absorbed' | 'ended';

/** Owner of an entry (its user), which is notified of changes to the blocks. */
export interface ItemOwner {
  /** The state of a block has changed from `before`. */
  cellChanged(cell: Cell, before: CellState): void;
  /** A block must be sent again. */
  cellDue(cell: Cell): void;
  /** The last open block of an entry has ended. */
  itemClosed(item: Item): void;
}

/** List of waiting blocks. */
export interface CellQueue {
  /** One of its blocks has stopped waiting. */
  left(): void;
}

/** Blocks of one user that name one segment in one spelling. */
export interface SegmentCells {
  readonly key: string;
  readonly kind: string;
  /** The newest block that was neither absorbed nor rejected. */
  newest: Cell | null;
  /** The block that was linked last; the next one usually belongs beside it. */
  latest: Cell | null;
}

/** One block of a pending entry. */
export class Cell {
  /** Whether the block has ended and was reported before: its next end is not counted. */
  again = false;
  /** Older cells that end together with this one; the newest is the last. */
  absorbed: Cell[] | null = null;
  /** Monotonic ms of the first refusal of a body with this block; Infinity if there was none. */
  refusedAtMs = Infinity;
  /** Whether the last request sent this block as a removal because its expiration had passed. */
  sentExpired = false;
  /** The service refused this block, so it changed nothing there and replaces nothing. */
  rejected = false;
  /** Links to the cells of the same segment, maintained by the user. */
  segment: SegmentCells | null = null;
  older: Cell | null = null;
  newer: Cell | null = null;
  /** The list that holds the block while it waits. */
  queue: CellQueue | null = null;
  private current: CellState = 'waiting';
  private isDue = false;

  constructor(
    readonly item: Item,
    /** Position among the blocks of its entry, in the order in which they are sent. */
    readonly index: number,
    readonly block: Block,
  ) {}

  /** Position in the entry as it was received, for error messages. */
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

  /** Whether this ended block must be sent again when an ambiguous request can no longer run. */
  get due(): boolean {
    return this.isDue;
  }

  set due(due: boolean) {
    if (due && !this.isDue) this.item.owner?.cellDue(this);
    this.isDue = due;
  }
}

/** What an entry in memory keeps of its row. */
export type ItemRow = Pick<NewRow, 'seq' | 'source' | 'eventMonoMs' | 'takenWallMs'>;

/** What has become of the blocks of an entry so far. */
class ItemEnding implements Ending {
  acceptedBlocks = 0;
  expiredBlocks = 0;
  rejection: Ending['rejection'] = null;
  /** A block was not sent because of a purge, an erasure or a closed node. */
  discarded = false;
  warnings: string[] | null = null;
}

/** One pending entry in memory. */
export class Item {
  readonly cells: readonly Cell[];
  /** Number of cells that have never ended. */
  open: number;
  /** Number of cells whose state is not `ended`. */
  unended: number;
  /** The user that holds this entry. */
  owner: ItemOwner | null = null;
  readonly ending = new ItemEnding();
  /** Whether the user already had entries in memory: the read-ahead has a limit of its own for these. */
  further = false;

  readonly seq: number;
  readonly source: Source;
  /** Monotonic ms of the event; the expiration counts from here. */
  readonly eventMonoMs: number;
  readonly takenWallMs: number;

  constructor(
    { seq, source, eventMonoMs, takenWallMs }: ItemRow,
    readonly entry: CheckedEntry,
    /** The row's state in the store; null once the row is removed. */
    public row: RowState | null,
    public pendingMessage: PendingMessage | null = null,
  ) {
    this.seq = seq;
    this.source = source;
    this.eventMonoMs = eventMonoMs;
    this.takenWallMs = takenWallMs;
    const blocks = groupedBlocks(entry.blocks);
    const cells = new Array<Cell>(blocks.length);
    for (let i = 0; i < blocks.length; i += 1) cells[i] = new Cell(this, i, blocks[i]!);
    this.cells = cells;
    this.open = blocks.length;
    this.unended = blocks.length;
    if (row !== 'waiting') this.markReported();
  }

  /** Marks an entry that was reported before: it is sent again and not counted. */
  private markReported(): void {
    this.open = 0;
    for (const cell of this.cells) cell.again = true;
  }

  /** Counts the first end of a block. Returns whether it was the last open one. */
  blockEnded(): boolean {
    this.open -= 1;
    if (this.open > 0) return false;
    this.owner?.itemClosed(this);
    return true;
  }

  /** Whether no block has to be sent any more. */
  get settled(): boolean {
    if (this.unended > 0) return false;
    for (const cell of this.cells) if (cell.due) return false;
    return true;
  }

  /**
   * Whether an entry of this process had no effect at the service: every block was rejected, or was discarded
   * or replaced by newer ones. An entry that was replaced entirely still counts on its own.
   */
  get hadNoEffect(): boolean {
    const { acceptedBlocks, expiredBlocks, discarded } = this.ending;
    if (this.row !== 'waiting' || acceptedBlocks + expiredBlocks > 0) return false;
    return discarded || this.allRejected;
  }

  /** Whether the service refused every block. */
  get allRejected(): boolean {
    for (const cell of this.cells) if (!cell.rejected) return false;
    return true;
  }
}

/** Sends an ended block again. */
export function wake(cell: Cell): void {
  cell.again = true;
  cell.due = false;
  cell.state = 'waiting';
}

/**
 * Expiration in minutes to send, reduced by the age of the event (promise 8); -1 once it has passed; null to
 * omit the key.
 */
export function sentExpiration(cell: Cell, nowMonoMs: number): number | null {
  const given = cell.block.expiration;
  if (given === null || given <= 0 || !cell.item.entry.ages) return given;
  const waitedMinutes = Math.floor(Math.max(0, nowMonoMs - cell.item.eventMonoMs) / 60_000);
  const left = given - waitedMinutes;
  return left >= 1 ? left : -1;
}

/** Key by which two blocks of a user coalesce. */
export function cellKey(cell: Cell): string {
  const spelling = cell.item.entry.spelling;
  return spelling === '' ? cell.block.key : `${spelling}\n${cell.block.key}`;
}

/**
 * Group of blocks that keep their order among each other. Blocks of different groups may mean the same
 * membership although their keys differ.
 */
export function orderKind(cell: Cell): string {
  const kind: BlockKind = cell.block.kind;
  const spelling = cell.item.entry.spelling;
  return spelling === '' ? kind : `${kind}\n${spelling}`;
}

/** Compares by position: below 0 when `a` precedes `b`. */
export function inOrder(a: Cell, b: Cell): number {
  return a.item.seq - b.item.seq || a.index - b.index;
}
