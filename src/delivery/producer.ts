// What comes into memory: messages of the nodes, and pages of the log that was too long for it.

import type { CheckedEntry } from '../entry/entry';
import { hashUserKey } from '../entry/keys';
import { parseBody } from '../entry/check';
import { queuedBody } from '../entry/serialise';
import type { NewRow, Opened, Row, Source } from '../queue/store';
import type { SharedRow } from '../queue/shared-log';
import type { Clock } from '../clock';
import { laneOf, type PendingUsers } from './pending/pending-users';
import type { CommitBuffer } from './commit-buffer';
import type { LogTally } from './monitor/log-tally';
import type { ReadAhead, ReadPage } from './pending/read-ahead';
import type { Reports } from './respond/reports';
import { closedEnd, PendingMessage, type PendingMessages, type MessageEnd } from './pending-messages';
import { queueFullEnd, type QueueCaps } from './respond/not-accepted';
import { Item } from './pending/item';
import type { User } from './pending/user';

/** Entries of one message, at least one. */
export interface Submission {
  /** The node that reports, and the account that sends. */
  readonly source: Source;
  readonly entries: readonly CheckedEntry[];
  /** Position in the input of each entry; null when they are the same. */
  readonly indexes: readonly number[] | null;
  /** When the message ends: with the outcome, or as soon as it is durably queued. */
  readonly completeOn: 'accepted' | 'queued';
  readonly onEnd: (end: MessageEnd) => void;
}

/** A message that waits to be taken. What is in it ages from when it was handed in, whatever the wall clock does since. */
export interface HandedIn {
  readonly submission: Submission;
  /** Monotonic ms, and the wall clock's epoch ms at that time. */
  readonly atMs: number;
  readonly wallMs: number;
}

export function handIn(submission: Submission, clock: Clock): HandedIn {
  return { submission, atMs: clock.monoMs(), wallMs: clock.wallMs() };
}

/** How long ago the event of an entry was, in whole ms; one in the future counts from when it was handed in. */
export function ageMsOf({ eventTimeMs }: CheckedEntry, { atMs, wallMs }: HandedIn, nowMs: number): number {
  const waitedMs = Math.round(Math.max(0, nowMs - atMs));
  return waitedMs + (eventTimeMs === null ? 0 : Math.max(0, wallMs - eventTimeMs));
}

/** A row that this process appended to a log that several processes share. */
export interface FreshRow extends SharedRow {
  readonly entry: CheckedEntry;
  readonly eventMonoMs: number;
}

/** A message whose entries are in the commit under way, or will be. */
interface Taken {
  readonly handedIn: HandedIn;
  readonly pendingMessage: PendingMessage;
  /** The time at which all of it is taken. */
  readonly nowMs: number;
  readonly wallMs: number;
  /** Numbers of its entries follow each other from here on. */
  readonly firstSeq: number;
  /** How many of its entries have been taken. */
  entries: number;
  /** Those that stay in memory. */
  readonly items: Item[];
  /** Characters of those that are on disk only. */
  charsOnDisk: number;
}

/** What one turn takes; more waits for the next, unless it is of the same message. */
const rowsPerCommit = 1_000;

/** Taken in one turn of the event loop, which that holds for some milliseconds. */
const defaultBlocksPerSlice = 2_000;

export class Producer {
  /** Number of the last row. */
  lastSeq = 0;
  /** Numbers above it were taken by this process. */
  private startedWith = 0;
  /** Messages handed in so far. */
  pushed = 0;
  /** Who wants to know the number of the last row before a message; in order. */
  private readonly marks: { readonly afterMessages: number; readonly reached: (seq: number) => void }[] = [];
  private waiting: HandedIn[] = [];
  /** What was appended to a log that several processes share, for the next turn; rows are null when they must be read. */
  private readonly fresh: { readonly lastSeq: number; readonly rows: readonly FreshRow[] | null }[] = [];
  private taken: Taken[] = [];
  /** The last of them, while some of its entries have not been taken. */
  private partlyTaken: Taken | null = null;
  /** Rows of the turn under way. */
  private rows = 0;
  /** Of nodes that closed without a durable store: the last number that is discarded. */
  private readonly abandoned = new Map<string, number>();

  constructor(
    private readonly durable: boolean,
    private readonly caps: () => QueueCaps,
    private readonly clock: Clock,
    private readonly commitBuffer: CommitBuffer,
    private readonly readAhead: ReadAhead,
    private readonly pendingUsers: PendingUsers,
    private readonly pendingMessages: PendingMessages,
    private readonly reports: Reports,
    private readonly tally: LogTally,
    /** See `partsOf`. */
    private readonly takesOneMore: () => boolean,
    private readonly blocksPerSlice = defaultBlocksPerSlice,
  ) {}

  /** `takes`: further rows are this process's own, whose monotonic clock they carry. */
  opened({ lastSeq, waiting, bodyChars }: Opened, takes = true): void {
    this.lastSeq = lastSeq;
    this.startedWith = takes ? lastSeq : Infinity;
    this.reports.taken(waiting);
    this.pendingUsers.queuedChars += bodyChars;
    this.pendingUsers.tombstonesMade = lastSeq > 0;
  }

  /** The log has rows up to this number, of which nothing is known here. False when that is no news. */
  logReaches(lastSeq: number): boolean {
    if (lastSeq <= this.appendedSeq) return false;
    this.fresh.push({ lastSeq, rows: null });
    return true;
  }

  /** Rows in the log that this process has appended. */
  appended(firstSeq: number, rows: readonly FreshRow[]): boolean {
    const lastSeq = firstSeq + rows.length - 1;
    if (firstSeq !== this.appendedSeq + 1) return this.logReaches(lastSeq);
    this.fresh.push({ lastSeq, rows });
    return true;
  }

  private get appendedSeq(): number {
    return this.fresh.at(-1)?.lastSeq ?? this.lastSeq;
  }

  /** Messages for the next turns. */
  get size(): number {
    return this.waiting.length;
  }

  /** Calls once all that was handed in so far is taken or refused, with the number of the last row then. */
  mark(reached: (seq: number) => void): void {
    this.marks.push({ afterMessages: this.pushed, reached });
  }

  private reachMarks(messages: number): void {
    while (this.marks.length > 0 && this.marks[0]!.afterMessages <= messages)
      this.marks.shift()!.reached(this.lastSeq);
  }

  push(submission: Submission): void {
    this.pushed += 1;
    this.waiting.push(handIn(submission, this.clock));
  }

  /** Ends what was not taken yet: of one node, or of all. */
  refuse(end: MessageEnd, node: string | null = null): void {
    const isRefused = ({ submission }: HandedIn): boolean => node === null || submission.source.node === node;
    const refused = this.waiting.filter(isRefused);
    this.waiting = this.waiting.filter((one) => !isRefused(one));
    for (const { submission } of refused) submission.onEnd(end);
  }

  /** A node closed: its entries are discarded, now and when they are read back. */
  abandon(node: string, nowMs: number): void {
    this.abandoned.set(node, this.lastSeq);
    this.pendingUsers.discardNode(node, nowMs);
  }

  // ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes the next slice of what this turn takes. True when that was the last one; else it is to be called again in a later
   * turn of the event loop, and before anything is committed: all of a message is in one commit.
   */
  take(nowMs: number): boolean {
    const before = this.pushed - this.waiting.length;
    let count = 0;
    let blocks = this.partlyTaken === null ? 0 : this.takeSome(this.partlyTaken, this.blocksPerSlice);
    while (blocks < this.blocksPerSlice && count < this.waiting.length && this.rows < rowsPerCommit) {
      const handedIn = this.waiting[count]!;
      const { submission } = handedIn;
      if (this.marks.length > 0) this.reachMarks(before + count);
      count += 1;
      const refusal = this.refusalOf(submission);
      if (refusal === null)
        blocks += this.takeSome(this.begin(handedIn, nowMs), this.blocksPerSlice - blocks);
      else submission.onEnd(refusal);
    }
    this.waiting.splice(0, count);
    const takesMore = this.waiting.length > 0 && this.rows < rowsPerCommit;
    if (this.partlyTaken !== null || takesMore) return false;
    this.reachMarks(before + count);
    this.rows = 0;
    return true;
  }

  private refusalOf(submission: Submission): MessageEnd | null {
    const caps = this.caps();
    const { queueMaxEntries: most, queueMaxBytes } = caps;
    const { waiting } = this.reports.counters;
    const { length } = submission.entries;
    const isFull = waiting + length > most || this.pendingUsers.queuedChars > queueMaxBytes;
    const isTooFull = !this.durable && this.pendingMessages.areFull;
    if (!isFull && !isTooFull) return null;
    if (length <= most && this.takesOneMore()) return null;
    if (isFull) return queueFullEnd(waiting, caps);
    const message = 'Too many messages wait for their outcome.';
    return {
      kind: 'failed',
      code: 'too_many_open_messages',
      params: { most: this.pendingMessages.most },
      message,
    };
  }

  /** Numbers all of its entries, so that whatever is said of what has been handed in so far is said of them, too. */
  private begin(handedIn: HandedIn, nowMs: number): Taken {
    const { submission } = handedIn;
    const { length } = submission.entries;
    const pendingMessage = pendingMessageOf(submission);
    const firstSeq = this.lastSeq + 1;
    this.lastSeq += length;
    this.rows += length;
    this.pendingMessages.add(pendingMessage, firstSeq, length);
    this.reports.taken(length);
    const wallMs = this.clock.wallMs();
    const taken = {
      handedIn,
      pendingMessage,
      nowMs,
      wallMs,
      firstSeq,
      entries: 0,
      items: [],
      charsOnDisk: 0,
    };
    this.taken.push(taken);
    return taken;
  }

  /** Takes further entries of a message until so many blocks are reached, or all are taken; returns how many blocks those have. */
  private takeSome(taken: Taken, mostBlocks: number): number {
    const { entries } = taken.handedIn.submission;
    let blocks = 0;
    for (; taken.entries < entries.length && blocks < mostBlocks; taken.entries += 1) {
      const entry = entries[taken.entries]!;
      this.takeEntry(entry, taken);
      blocks += entry.blocks.length;
    }
    this.partlyTaken = taken.entries < entries.length ? taken : null;
    return blocks;
  }

  private takeEntry(entry: CheckedEntry, taken: Taken): void {
    const { nowMs, pendingMessage } = taken;
    const row = rowOf(entry, taken);
    this.commitBuffer.appended(row);
    this.pendingUsers.queuedChars += row.body.length;
    const item = this.admit(row, entry, pendingMessage, nowMs);
    if (item === null) taken.charsOnDisk += row.body.length;
    else taken.items.push(item);
  }

  /** A new entry into memory; null when it is to be read back later. */
  private admit(
    row: NewRow,
    entry: CheckedEntry,
    pendingMessage: PendingMessage | null,
    nowMs: number,
  ): Item | null {
    const further = this.pendingUsers.hasUser(entry.userKey);
    if (!this.readAhead.admits(row.lane, row.seq, further, row.takenWallMs)) return null;
    const item = new Item(
      row.seq,
      entry,
      row.source,
      row.eventMonoMs,
      row.takenWallMs,
      'waiting',
      pendingMessage,
    );
    item.further = further;
    const user = this.pendingUsers.admit(item, row.userHash, nowMs);
    if (this.isAbandoned(row)) {
      this.pendingUsers.discard(item);
      this.pendingUsers.settle(user, nowMs);
    }
    return item;
  }

  /** Of a node that closed without a durable store. */
  private isAbandoned({ seq, source }: NewRow): boolean {
    return seq <= (this.abandoned.get(source.node) ?? 0);
  }

  /** Durable now. */
  committed(): void {
    for (const { handedIn, pendingMessage } of this.taken.splice(0))
      if (this.durable) this.pendingMessages.stored(pendingMessage, handedIn.submission.completeOn);
  }

  /** A node has closed, whose entries stay in the queue. */
  closeNode(node: string): void {
    this.refuse(closedEnd, node);
    this.pendingMessages.closeNode(
      node,
      this.taken.map(({ pendingMessage }) => pendingMessage),
    );
  }

  /** The commit failed, or will not be made: nothing was taken, and every message of it is told why. */
  uncommitted(end: Extract<MessageEnd, { kind: 'failed' }>, nowMs: number): void {
    const taken = this.taken.splice(0);
    this.partlyTaken = null;
    this.rows = 0;
    for (const { items } of taken.toReversed()) {
      for (const item of items.toReversed()) this.pendingUsers.undoAdmit(item, nowMs);
    }
    for (const { handedIn, pendingMessage, charsOnDisk } of taken) {
      this.reports.notAccepted(handedIn.submission.entries.length);
      this.pendingUsers.queuedChars -= charsOnDisk;
      this.pendingMessages.end(pendingMessage, end);
    }
  }

  // ── Rows of the log ─────────────────────────────────────────────────────────────────────────────────────────

  /** What was appended since the last turn. */
  takeAppended(nowMs: number): void {
    for (const { lastSeq, rows } of this.fresh.splice(0)) {
      const firstSeq = this.lastSeq + 1;
      this.reports.taken(lastSeq - this.lastSeq);
      this.lastSeq = lastSeq;
      if (rows === null) this.readAhead.appended(lastSeq, this.clock.wallMs());
      else rows.forEach((row, at) => this.admit({ ...row, seq: firstSeq + at }, row.entry, null, nowMs));
      this.readAhead.committed(lastSeq);
    }
  }

  takePage(read: ReadPage, nowMs: number): void {
    const touched = new Set<User>();
    for (const row of read.page.rows) {
      const user = this.takeRow(row, nowMs);
      if (user !== null) touched.add(user);
    }
    const tombstones = read.page.tombstones
      .map((row) => this.itemOf(row, nowMs))
      .filter((item) => item !== null);
    this.readAhead.admitted(read);
    this.pendingUsers.admitTombstones(tombstones, touched, nowMs);
  }

  private takeRow(row: Row, nowMs: number): User | null {
    if (this.pendingUsers.deletions.hasRowEnded(row.seq)) return null;
    const item = this.itemOf(row, nowMs);
    if (item === null) return null;
    this.pendingUsers.count(item);
    const user = this.pendingUsers.add(item, row.userHash);
    if (this.isAbandoned(row)) this.pendingUsers.discard(item);
    return user;
  }

  /** An entry as it was taken, read back from its row. A damaged row is set aside as rejected. */
  itemOf(row: Row, nowMs: number): Item | null {
    let entry: CheckedEntry;
    try {
      entry = parseBody(row.body);
    } catch (error) {
      this.tally.add({
        level: 'error',
        kind: 'set aside',
        count: 1,
        text: (count) =>
          `${count} entries in the queue cannot be read and were set aside. The first is number ${row.seq}: ${String(error)}`,
      });
      this.commitBuffer.mark(row.seq, 'remove');
      if (row.state === 'waiting') this.reports.rowUnreadable();
      return null;
    }
    // The monotonic clock of another process says nothing here.
    const ofThisProcess = row.seq > this.startedWith;
    const agedMs = Math.max(0, this.clock.wallMs() - row.eventWallMs);
    const eventMonoMs = ofThisProcess ? row.eventMonoMs : nowMs - agedMs;
    const pendingMessage = this.pendingMessages.find(row.seq);
    const source = row.instance === undefined ? row.source : { ...row.source, instance: row.instance };
    return new Item(row.seq, entry, source, eventMonoMs, row.takenWallMs, row.state, pendingMessage);
  }
}

export function pendingMessageOf({ source, entries, indexes, onEnd }: Submission): PendingMessage {
  const users = entries.length === 1 ? 1 : new Set(entries.map(({ userKey }) => userKey)).size;
  let associations = 0;
  for (const { blocks } of entries) associations += blocks.length;
  return new PendingMessage(source.node, { entries: entries.length, users, associations }, indexes, onEnd);
}

/** Of the next entry of a message. */
function rowOf(entry: CheckedEntry, { handedIn, firstSeq, entries, nowMs, wallMs }: Taken): NewRow {
  const ageMs = ageMsOf(entry, handedIn, nowMs);
  return {
    seq: firstSeq + entries,
    lane: laneOf(entry),
    userHash: hashUserKey(entry.userKey),
    source: handedIn.submission.source,
    eventWallMs: wallMs - ageMs,
    eventMonoMs: nowMs - ageMs,
    takenWallMs: wallMs,
    body: queuedBody(entry),
  };
}
