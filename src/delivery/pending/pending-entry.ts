// Pending entry with its blocks and their states.

import type { Block, BlockKind, CheckedEntry } from '../../entry/entry';
import type { Lane, NewRow, RowState, Source } from '../../queue/store';
import { groupedBlocks } from './grouped-blocks';
import type { Ending, PendingMessage } from '../pending-messages';

/** How a block ended. A `superseded` block ends together with the newer block that replaces it. */
export type End = 'accepted' | 'superseded' | 'expired' | 'rejected';

export type PendingBlockState = 'waiting' | 'inFlight' | 'absorbed' | 'ended';

/** Owner of an entry (its user), which is notified of changes to the blocks. */
export interface EntryOwner {
  /** The state of a block has changed from `before`. */
  blockChanged(block: PendingBlock, before: PendingBlockState): void;
  /** A block must be sent again. */
  blockDue(block: PendingBlock): void;
  /** The last open block of an entry has ended. */
  entryClosed(entry: PendingEntry): void;
}

/** List of waiting blocks. */
export interface WaitingList {
  /** One of its blocks has stopped waiting. */
  left(): void;
}

/** Blocks of one user that name one segment in one spelling. */
export interface SegmentBlocks {
  readonly key: string;
  readonly kind: string;
  /** The newest block that was neither absorbed nor rejected. */
  newest: PendingBlock | null;
  /** The block that was linked last; the next one usually belongs beside it. */
  latest: PendingBlock | null;
}

const firstIndex = 0;

/** Not a literal, for the reason given at `Checked` in entry/check.ts. `Array.of` takes longer. */
const listOf = <T>(...items: T[]): readonly T[] => items;

/** Bits of `PendingBlock.flags`. */
const againFlag = 1;
const sentExpiredFlag = 2;
const rejectedFlag = 4;
const dueFlag = 8;
const mayHaveRunFlag = 16;

/** One block of a pending entry. Each field takes eight bytes of every entry, so the flags share one. */
export abstract class PendingBlock {
  /** Older blocks that end together with this one; the newest is the last. */
  absorbed: PendingBlock[] | null = null;
  /** Monotonic ms of the first refusal of a body with this block. */
  refusedAtMs: number | null = null;
  /** Links to the blocks of the same segment, maintained by the user. */
  segment: SegmentBlocks | null = null;
  older: PendingBlock | null = null;
  newer: PendingBlock | null = null;
  /** The list that holds the block while it waits. */
  queue: WaitingList | null = null;
  private current: PendingBlockState = 'waiting';
  private flags = 0;

  abstract readonly entry: PendingEntry;
  /** Position among the blocks of its entry, in the order in which they are sent. */
  abstract readonly index: number;
  abstract readonly segBlock: Block;

  /** Position in the entry as it was received, for error messages. */
  get place(): number {
    const { blocks } = this.entry.checked;
    return blocks[this.index] === this.segBlock ? this.index : blocks.indexOf(this.segBlock);
  }

  get state(): PendingBlockState {
    return this.current;
  }

  set state(next: PendingBlockState) {
    const before = this.current;
    if (next === before) return;
    this.current = next;
    this.entry.blockChanged(this, before);
  }

  /** Whether the block has ended and was reported before: its next end is not counted. */
  get again(): boolean {
    return (this.flags & againFlag) !== 0;
  }

  set again(again: boolean) {
    this.setFlag(againFlag, again);
  }

  /** Whether the last request sent this block as a removal because its expiration had passed. */
  get sentExpired(): boolean {
    return (this.flags & sentExpiredFlag) !== 0;
  }

  set sentExpired(sentExpired: boolean) {
    this.setFlag(sentExpiredFlag, sentExpired);
  }

  /** The service refused this block, so it changed nothing there and replaces nothing. */
  get rejected(): boolean {
    return (this.flags & rejectedFlag) !== 0;
  }

  set rejected(rejected: boolean) {
    this.setFlag(rejectedFlag, rejected);
  }

  /** Whether this ended block must be sent again when an ambiguous request can no longer run. */
  get due(): boolean {
    return (this.flags & dueFlag) !== 0;
  }

  set due(due: boolean) {
    if (due && !this.due) this.entry.owner?.blockDue(this);
    this.setFlag(dueFlag, due);
  }

  /** Whether it is, or may be, in a request without a reply, of this process or an earlier one. */
  get mayHaveRun(): boolean {
    return (this.flags & mayHaveRunFlag) !== 0;
  }

  set mayHaveRun(mayHaveRun: boolean) {
    this.setFlag(mayHaveRunFlag, mayHaveRun);
  }

  private setFlag(flag: number, on: boolean): void {
    this.flags = on ? this.flags | flag : this.flags & ~flag;
  }
}

/** A block after the first one of its entry. */
class FurtherBlock extends PendingBlock {
  constructor(
    readonly entry: PendingEntry,
    readonly index: number,
    readonly segBlock: Block,
  ) {
    super();
  }
}

/** What only an entry with several blocks needs. */
interface SeveralBlocks {
  readonly blocks: readonly PendingBlock[];
  /** Number of blocks that have never ended. */
  open: number;
  /** Number of blocks whose state is not `ended`. */
  unended: number;
  /** A block was not sent because of a purge, an erasure or a closed node. */
  discarded: boolean;
}

/** What an entry in memory keeps of its row. */
export type EntryRow = Pick<NewRow, 'seq' | 'source' | 'eventMonoMs' | 'appendedWallMs'> &
  Partial<Pick<NewRow, 'lane'>>;

/**
 * One pending entry in memory, with what has become of its blocks so far. It is its own first block, because nearly every
 * entry has just one: all of it is one object then.
 */
export class PendingEntry extends PendingBlock implements Ending {
  /** The user that holds this entry. */
  owner: EntryOwner | null = null;
  effect: Ending['effect'] = 'none';
  rejection: Ending['rejection'] = null;
  warnings: readonly string[] | null = null;
  /** Whether the user already had entries in memory: the read-ahead has a limit of its own for these. */
  further = false;

  /** Whether it is of a whole audience, and waits behind all others. */
  readonly bulk: boolean;
  readonly seq: number;
  readonly source: Source;
  /** Monotonic ms of the event; the expiration counts from here. */
  readonly eventMonoMs: number;
  readonly appendedWallMs: number;
  private readonly several: SeveralBlocks | null;

  constructor(
    { seq, lane, source, eventMonoMs, appendedWallMs }: EntryRow,
    readonly checked: CheckedEntry,
    /** The row's state in the store; null once the row is removed. */
    public row: RowState | null,
    public pendingMessage: PendingMessage | null = null,
  ) {
    super();
    this.seq = seq;
    this.bulk = lane === 'bulk';
    this.source = source;
    this.eventMonoMs = eventMonoMs;
    this.appendedWallMs = appendedWallMs;
    this.several = checked.blocks.length === 1 ? null : severalOf(this);
    if (row !== 'waiting') this.markReported();
  }

  get entry(): this {
    return this;
  }

  get index(): number {
    return firstIndex;
  }

  get segBlock(): Block {
    return this.checked.blocks[0]!;
  }

  get blocks(): readonly PendingBlock[] {
    return this.several?.blocks ?? listOf<PendingBlock>(this);
  }

  /** Whether it has no other block than itself. */
  get isSingle(): boolean {
    return this.several === null;
  }

  get lane(): Lane {
    return this.bulk ? 'bulk' : laneOf(this.checked);
  }

  /** Whether it only renews a membership. */
  get refreshes(): boolean {
    return this.bulk && this.checked.refresh === true;
  }

  get ending(): Ending {
    return this;
  }

  /** Marks an entry that was reported before: it is sent again and not counted. */
  private markReported(): void {
    if (this.several !== null) this.several.open = 0;
    for (const block of this.blocks) block.again = true;
  }

  /** Number of blocks that have never ended. */
  get open(): number {
    if (this.several !== null) return this.several.open;
    return this.again ? 0 : 1;
  }

  /** Number of blocks whose state is not `ended`. */
  get unended(): number {
    if (this.several !== null) return this.several.unended;
    return this.state === 'ended' ? 0 : 1;
  }

  /** The state of one of its blocks has changed from `before`. */
  blockChanged(block: PendingBlock, before: PendingBlockState): void {
    const { several } = this;
    if (several !== null) {
      if (block.state === 'ended') several.unended -= 1;
      else if (before === 'ended') several.unended += 1;
    }
    this.owner?.blockChanged(block, before);
  }

  /** One of its blocks, which is marked `again`, has ended for the first time. Returns whether it was the last open one. */
  blockEnded(): boolean {
    if (this.several !== null) this.several.open -= 1;
    if (this.open > 0) return false;
    this.owner?.entryClosed(this);
    return true;
  }

  /** A block was not sent because of a purge, an erasure or a closed node. */
  blockDiscarded(): void {
    if (this.several !== null) this.several.discarded = true;
  }

  /** Whether no block has to be sent any more. */
  get done(): boolean {
    if (this.unended > 0) return false;
    if (this.several === null) return !this.due;
    return this.several.blocks.every(({ due }) => !due);
  }

  /**
   * Whether an entry of this process had no effect at the service: every block was rejected, or was discarded
   * or replaced by newer ones. An entry that was replaced entirely still counts on its own.
   */
  get hadNoEffect(): boolean {
    if (this.row !== 'waiting' || this.effect !== 'none') return false;
    return this.several?.discarded === true || this.allRejected;
  }

  /** Whether the service refused every block. */
  get allRejected(): boolean {
    if (this.several === null) return this.rejected;
    return this.several.blocks.every(({ rejected }) => rejected);
  }
}

function severalOf(entry: PendingEntry): SeveralBlocks {
  const blocks = groupedBlocks(entry.checked.blocks).map((segBlock, index) =>
    // The order of sending begins with the first block.
    index === 0 ? entry : new FurtherBlock(entry, index, segBlock),
  );
  return { blocks, open: blocks.length, unended: blocks.length, discarded: false };
}

/** The lane of an entry that is not bulk. */
export function laneOf(checked: CheckedEntry): Lane {
  return checked.removes ? 'removal' : 'add';
}

/** Sends an ended block again. */
export function wake(block: PendingBlock): void {
  block.again = true;
  block.due = false;
  block.state = 'waiting';
}

/**
 * Expiration in minutes to send, reduced by the age of the event (promise 8); -1 once it has passed; null to
 * omit the key.
 */
export function sentExpiration(block: PendingBlock, nowMonoMs: number): number | null {
  const given = block.segBlock.expiration;
  if (given === null || given <= 0 || !block.entry.checked.ages) return given;
  const waitedMinutes = Math.floor(Math.max(0, nowMonoMs - block.entry.eventMonoMs) / 60_000);
  const left = given - waitedMinutes;
  return left >= 1 ? left : -1;
}

/** Key by which two blocks of a user coalesce. */
export function coalescingKey(block: PendingBlock): string {
  const spelling = block.entry.checked.spelling;
  return spelling === '' ? block.segBlock.key : `${spelling}\n${block.segBlock.key}`;
}

/**
 * Group of blocks that keep their order among each other. Blocks of different groups may mean the same
 * membership although their keys differ.
 */
export function orderKind(block: PendingBlock): string {
  const kind: BlockKind = block.segBlock.kind;
  const spelling = block.entry.checked.spelling;
  return spelling === '' ? kind : `${kind}\n${spelling}`;
}

/** Compares by position: below 0 when `a` precedes `b`. */
export function inOrder(a: PendingBlock, b: PendingBlock): number {
  return a.entry.seq - b.entry.seq || a.index - b.index;
}
