// The producer: accepts messages, makes rows of their entries in slices, and ends the messages once their rows are stored.
// An appender stores the rows: in the commit of a turn (loader.ts), or in batches in a shared queue
// (shared/shared-producer.ts).

import type { CheckedEntry } from '../entry/entry';
import { hashUserKey } from '../entry/keys';
import { queuedBody } from '../entry/serialise';
import type { NewRow, Source } from '../queue/store';
import type { Clock } from '../clock';
import type { Common } from './engine-options';
import { laneOf } from './pending/pending-entry';
import { closedEnd, PendingMessage, type MessageEnd } from './pending-messages';
import { checkedOf, type BulkChunk, type Submission } from './submission';
import { WaitingMessages, type HandedIn, type Moment } from './waiting-messages';

/** What an appender says of a message that is taken. */
export interface Begun<State> {
  /** Of its first row; further numbers follow. 0 where the log gives them. */
  readonly firstSeq: number;
  /** The appender's. */
  readonly state: State;
}

/** A message whose entries are being appended. Of a class for the reason given at `Checked` in entry/check.ts. */
export class Taken<State> {
  /** How many rows were made of it. */
  rows = 0;
  /** How many of its entries are stored. */
  stored = 0;
  /** See `QueuedReason`. */
  hasLateOutcomes = false;
  readonly firstSeq: number;
  readonly state: State;

  constructor(
    readonly handedIn: HandedIn,
    readonly entries: readonly CheckedEntry[],
    readonly pendingMessage: PendingMessage,
    /** The time at which all of it is taken. */
    readonly nowMs: number,
    readonly wallMs: number,
    { firstSeq, state }: Begun<State>,
  ) {
    this.firstSeq = firstSeq;
    this.state = state;
  }
}

export interface Appender<State> {
  /** Whether what is stored survives. Without it, a message ends with the outcome only. */
  readonly durable: boolean;
  /** Why a message with so many entries is not taken; null for one that is. */
  refusalOf(entries: number): MessageEnd | null;
  /** A message with so many entries is taken. */
  begin(entries: number, pendingMessage: PendingMessage, bulk: BulkChunk | undefined): Begun<State>;
  /** A row of its next entry, which has its number. */
  append(row: NewRow, entry: CheckedEntry, taken: Taken<State>): void;
  /** The rows of these messages are not stored after all. */
  undo(taken: readonly Taken<State>[], nowMs: number): void;
}

/** The entries of a message of which none is valid: it has no outcome. */
const noneValid = {
  kind: 'settled',
  summary: { entries: 0, users: 0, associations: 0, accepted: 0, superseded: 0, expired: 0, warnings: [] },
  rejections: [],
} as const satisfies MessageEnd;

/** What one turn takes; more waits for the next, unless it is of the same message. */
const rowsPerTurn = 1_000;

/** Taken in one turn of the event loop, which that holds for some milliseconds. */
const defaultBlocksPerSlice = 2_000;

export class Producer<State> {
  /** Messages handed in so far. */
  pushed = 0;
  /** Entries that are not stored yet. */
  unstored = 0;
  /** When the last message was handed in; null if one was taken since. */
  private lastAt: Moment | null = null;
  /** Messages of which some entries are not stored yet; of the last one perhaps not all rows are made. */
  readonly taken: Taken<State>[] = [];
  private waiting = new WaitingMessages();
  private partlyTaken: Taken<State> | null = null;
  /** Of the message that is being taken, if it has several entries. */
  private users = new Set<string>();
  /** Rows of the turn under way. */
  private rows = 0;
  /** Callbacks for when all messages up to a number are accepted or refused; in order. */
  private readonly marks: { readonly through: number; readonly reached: () => void }[] = [];
  private readonly clock: Clock;
  private readonly blocksPerSlice: number;

  constructor(
    private readonly common: Pick<Common, 'settings' | 'pendingMessages'>,
    private readonly appender: Appender<State>,
  ) {
    this.clock = common.settings.clock;
    this.blocksPerSlice = common.settings.blocksPerSlice ?? defaultBlocksPerSlice;
  }

  /** Messages that were not taken yet. */
  get size(): number {
    return this.waiting.size;
  }

  /** Every message up to this number is stored, or was refused. */
  get storedThrough(): number {
    const oldest = this.taken[0]?.handedIn.number ?? this.waiting.nextNumber;
    return oldest === undefined ? this.pushed : oldest - 1;
  }

  /** Whether something was handed in that is neither stored nor refused. */
  get storing(): boolean {
    return this.storedThrough < this.pushed;
  }

  /** Calls once every message so far is accepted or refused. */
  mark(reached: () => void): void {
    this.marks.push({ through: this.pushed, reached });
  }

  private reachMarks(next: number): void {
    while (this.marks.length > 0 && this.marks[0]!.through < next) this.marks.shift()!.reached();
  }

  push(submission: Submission): void {
    this.pushed += 1;
    this.unstored += submission.entries.length;
    this.waiting.push(submission, this.pushed, this.now());
  }

  /** Messages of the same ms share an object. */
  private now(): Moment {
    const wallMs = this.clock.wallMs();
    if (this.lastAt?.wallMs !== wallMs) this.lastAt = { monoMs: this.clock.monoMs(), wallMs };
    return this.lastAt;
  }

  /** Whether the next turn takes not all that waits. */
  get isBehind(): boolean {
    return this.waiting.size > rowsPerTurn;
  }

  /** Ends what was not taken yet: of one node, or of all. */
  refuse(end: MessageEnd, node: string | null = null): void {
    const before = this.waiting;
    this.waiting = new WaitingMessages();
    const refused: Submission[] = [];
    for (let one = before.shift(); one !== undefined; one = before.shift()) {
      const { submission, number, at } = one;
      if (node === null || submission.source.node === node) refused.push(submission);
      else this.waiting.push(submission, number, at);
    }
    for (const submission of refused) this.refuseOne(submission, end);
  }

  private refuseOne({ entries, onEnd }: Submission, end: MessageEnd): void {
    this.unstored -= entries.length;
    onEnd(end);
  }

  /** A node has closed, whose entries stay in the queue. */
  closeNode(node: string): void {
    this.refuse(closedEnd, node);
    const unstored = this.taken.map(({ pendingMessage }) => pendingMessage);
    this.common.pendingMessages.closeNode(node, unstored);
  }

  /**
   * Takes the next slice of what this turn takes. True when that was the last one; else it is to be called again in a later
   * turn of the event loop, and before anything is committed: all of a message is in one commit.
   */
  take(nowMs: number): boolean {
    this.lastAt = null;
    let blocks = this.partlyTaken === null ? 0 : this.takeSome(this.partlyTaken, this.blocksPerSlice);
    while (blocks < this.blocksPerSlice && this.takesAlso(this.waiting.next)) {
      const handedIn = this.waiting.shift()!;
      this.reachMarks(handedIn.number);
      const entries = checkedOf(handedIn.submission.entries);
      const refusal = entries.length === 0 ? noneValid : this.appender.refusalOf(entries.length);
      if (refusal === null)
        blocks += this.takeSome(this.begin(handedIn, entries, nowMs), this.blocksPerSlice - blocks);
      else this.refuseOne(handedIn.submission, refusal);
    }
    if (this.partlyTaken !== null || this.takesAlso(this.waiting.next)) return false;
    this.reachMarks(this.waiting.nextNumber ?? Infinity);
    this.rows = 0;
    return true;
  }

  private takesAlso(submission: Submission | undefined): boolean {
    if (submission === undefined) return false;
    return this.rows === 0 || this.rows + submission.entries.length <= rowsPerTurn;
  }

  /** Numbers all of its entries at once, so that a deletion that is requested meanwhile covers all of them or none. */
  private begin(handedIn: HandedIn, entries: readonly CheckedEntry[], nowMs: number): Taken<State> {
    const { source, entries: all, indexes, bulk, onEnd } = handedIn.submission;
    this.unstored -= all.length - entries.length;
    const pendingMessage = new PendingMessage(source.node, entries.length, indexes, onEnd);
    const begun = this.appender.begin(entries.length, pendingMessage, bulk);
    const taken = new Taken(handedIn, entries, pendingMessage, nowMs, this.clock.wallMs(), begun);
    this.rows += entries.length;
    this.taken.push(taken);
    return taken;
  }

  /** Takes further entries of a message until so many blocks are reached, or all are taken; returns how many blocks those have. */
  private takeSome(taken: Taken<State>, mostBlocks: number): number {
    const { entries } = taken;
    const isOne = entries.length === 1;
    let blocks = 0;
    for (; taken.rows < entries.length && blocks < mostBlocks; taken.rows += 1) {
      const entry = entries[taken.rows]!;
      this.appender.append(new AppendedRow(entry, taken), entry, taken);
      blocks += entry.blocks.length;
      if (!isOne) this.users.add(entry.userKey);
    }
    taken.pendingMessage.took(isOne ? 1 : this.users.size, blocks);
    this.partlyTaken = taken.rows < entries.length ? taken : null;
    if (!isOne && this.partlyTaken === null) this.users = new Set();
    return blocks;
  }

  /** `entries` further entries of a message are stored. With the last one it ends, unless it waits for the outcome. */
  stored(taken: Taken<State>, entries: number): void {
    this.unstored -= entries;
    taken.stored += entries;
    if (taken.stored < taken.entries.length) return;
    this.forget(taken);
    this.isStored(taken);
  }

  /** All that was taken is stored. */
  allStored(): void {
    for (const taken of this.taken.splice(0)) {
      this.unstored -= taken.rows;
      this.isStored(taken);
    }
  }

  private isStored({ pendingMessage, handedIn, hasLateOutcomes }: Taken<State>): void {
    const { completeOn } = handedIn.submission;
    if (this.appender.durable)
      this.common.pendingMessages.stored(pendingMessage, completeOn, hasLateOutcomes);
  }

  /** The rest of a message, or all of it, could not be stored. */
  notStored(taken: Taken<State>, end: Extract<MessageEnd, { kind: 'failed' }>): void {
    this.unstored -= taken.entries.length - taken.stored;
    this.forget(taken);
    this.common.pendingMessages.end(taken.pendingMessage, end);
  }

  /** Of all that was taken. */
  noneStored(end: Extract<MessageEnd, { kind: 'failed' }>): void {
    this.partlyTaken = null;
    this.users = new Set();
    this.rows = 0;
    this.appender.undo(this.taken, this.clock.monoMs());
    for (const taken of [...this.taken]) this.notStored(taken, end);
  }

  private forget(taken: Taken<State>): void {
    this.taken.splice(this.taken.indexOf(taken), 1);
  }
}

/** The row of the next entry of a message. Of a class for the reason given at `Checked` in entry/check.ts. */
class AppendedRow implements NewRow {
  readonly seq: number;
  readonly lane: NewRow['lane'];
  readonly userHash: number;
  readonly source: Source;
  readonly eventWallMs: number;
  readonly eventMonoMs: number;
  readonly appendedWallMs: number;
  readonly body: string;
  cold = false;

  constructor(entry: CheckedEntry, { handedIn, firstSeq, rows, nowMs, wallMs }: Taken<unknown>) {
    const ageMs = ageMsOf(entry, handedIn, nowMs);
    this.seq = firstSeq + rows;
    this.lane = handedIn.submission.bulk === undefined ? laneOf(entry) : 'bulk';
    this.userHash = hashUserKey(entry.userKey);
    this.source = handedIn.submission.source;
    this.eventWallMs = wallMs - ageMs;
    this.eventMonoMs = nowMs - ageMs;
    this.appendedWallMs = wallMs;
    this.body = queuedBody(entry);
  }
}

/** How long ago the event of an entry was, in whole ms; one in the future counts from when it was handed in. */
function ageMsOf({ eventTimeMs }: CheckedEntry, { at: { monoMs, wallMs } }: HandedIn, nowMs: number): number {
  const waitedMs = Math.round(Math.max(0, nowMs - monoMs));
  return waitedMs + (eventTimeMs === null ? 0 : Math.max(0, wallMs - eventTimeMs));
}
