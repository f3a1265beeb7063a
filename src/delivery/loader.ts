// The loader: brings entries into memory, from the messages of a turn and from the rows of the queue.

import type { CheckedEntry } from '../entry/entry';
import { hashUserKey } from '../entry/keys';
import { memberKeyOfEntry } from '../entry/member-key';
import { parseBody } from '../entry/read-body';
import type { NewRow, Opened, Row } from '../queue/store';
import type { SharedRow } from '../queue/shared-log';
import type { CommitBuffer } from './commit-buffer';
import type { Common } from './engine-options';
import { PendingEntry } from './pending/pending-entry';
import type { PendingUsers } from './pending/pending-users';
import type { ReadAhead, RowsRead } from './pending/read-ahead';
import type { User } from './pending/user';
import type { MessageEnd, PendingMessage } from './pending-messages';
import type { Appender, Taken } from './producer';
import type { BulkChunk } from './submission';
import { queueFullEnd } from './respond/not-accepted';
import type { Reports } from './respond/reports';
import { AppendedRefreshes } from './sync/appended-refreshes';
import type { ChangedMembers } from './sync/changed-members';
import type { Suppressions } from './sync/suppressions';

/** A row that this process appended to a shared queue. */
export interface FreshRow extends SharedRow {
  readonly entry: CheckedEntry;
  readonly eventMonoMs: number;
}

export interface LoaderParts {
  readonly common: Common;
  readonly durable: boolean;
  readonly commitBuffer: CommitBuffer;
  readonly readAhead: ReadAhead;
  readonly pendingUsers: PendingUsers;
  readonly reports: Reports;
  readonly changedMembers: ChangedMembers;
  readonly suppressions: Suppressions;
  /** See `partsOf`. */
  readonly takesOneMore: () => boolean;
  readonly isStuck: () => boolean;
  readonly someSendable: () => boolean;
  readonly askTurn: () => void;
  readonly failed: (error: unknown) => void;
}

export class Loader implements Appender<null> {
  /** Number of the last row. */
  lastSeq = 0;
  /** Rows with higher numbers were appended by this process. */
  private startedWith = 0;
  /** Rows appended to a shared queue since the last turn; null if they must be read. */
  private readonly fresh: { readonly lastSeq: number; readonly rows: readonly FreshRow[] | null }[] = [];
  /** Rows for the next turn. */
  private rowsRead: RowsRead[] = [];
  /** Of nodes that closed without a durable store: the last number that is discarded. */
  private readonly abandoned = new Map<string, number>();
  /** Of the current commit: new entries that stay in memory, and characters of those that are on disk only. */
  private admitted: PendingEntry[] = [];
  private charsOnDisk = 0;
  private readonly refreshes: AppendedRefreshes;

  constructor(private readonly parts: LoaderParts) {
    this.refreshes = new AppendedRefreshes(parts.changedMembers);
  }

  get durable(): boolean {
    return this.parts.durable;
  }

  /** `takes`: all further rows are appended by this process, and carry its monotonic time. */
  opened({ lastSeq, waiting, bodyChars }: Opened, takes = true): void {
    this.lastSeq = lastSeq;
    this.startedWith = takes ? lastSeq : Infinity;
    this.parts.reports.taken(waiting);
    this.parts.pendingUsers.queuedChars += bodyChars;
  }

  /** The log has rows up to this number that are not in memory. Returns false if this was known. */
  logReaches(lastSeq: number): boolean {
    if (lastSeq <= this.appendedSeq) return false;
    this.fresh.push({ lastSeq, rows: null });
    return true;
  }

  /** Rows in the log that this process has appended. */
  appended(firstSeq: number, rows: readonly FreshRow[], bulk?: BulkChunk): boolean {
    const lastSeq = firstSeq + rows.length - 1;
    if (bulk !== undefined && rows[0]?.entry.refresh === true)
      this.refreshes.add({ firstSeq, lastSeq, readSince: bulk.readSince });
    if (firstSeq !== this.appendedSeq + 1) return this.logReaches(lastSeq);
    this.fresh.push({ lastSeq, rows });
    return true;
  }

  private get appendedSeq(): number {
    return this.fresh.at(-1)?.lastSeq ?? this.lastSeq;
  }

  /** A node closed: its entries are discarded, now and when they are read back. */
  abandon(node: string, nowMs: number): void {
    this.abandoned.set(node, this.lastSeq);
    this.parts.pendingUsers.discardNode(node, nowMs);
  }

  // ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────

  refusalOf(entries: number): MessageEnd | null {
    const { caps, pendingMessages } = this.parts.common;
    const { waiting } = this.parts.reports.counters;
    const most = caps.queueMaxEntries;
    const isFull = waiting + entries > most || this.parts.pendingUsers.queuedChars > caps.queueMaxBytes;
    const isTooFull = !this.parts.durable && pendingMessages.areFull;
    if (!isFull && !isTooFull) return null;
    if (entries <= most && this.parts.takesOneMore()) return null;
    if (isFull) return queueFullEnd(waiting, caps);
    const message = 'Too many messages wait for their outcome.';
    return {
      kind: 'failed',
      code: 'too_many_open_messages',
      params: { most: pendingMessages.most },
      message,
    };
  }

  begin(
    entries: number,
    pendingMessage: PendingMessage,
    bulk: BulkChunk | undefined,
  ): ReturnType<Appender<null>['begin']> {
    const { segment = '', state: text = null } = bulk ?? {};
    if (text !== null) this.parts.commitBuffer.syncState({ segment, text });
    const firstSeq = this.lastSeq + 1;
    this.lastSeq += entries;
    this.parts.common.pendingMessages.add(pendingMessage, firstSeq, entries);
    this.parts.reports.taken(entries);
    return { firstSeq, state: null };
  }

  append(row: NewRow, checked: CheckedEntry, { pendingMessage, nowMs, handedIn }: Taken<null>): void {
    const { bulk } = handedIn.submission;
    if (checked.refresh === true && bulk !== undefined && !this.mayRefresh(row, checked, bulk)) {
      this.endAtOnce(row, checked);
      return;
    }
    this.parts.pendingUsers.queuedChars += row.body.length;
    const entry = this.admit(row, checked, pendingMessage, nowMs);
    if (entry === null) {
      row.cold = true;
      this.charsOnDisk += row.body.length;
    } else this.admitted.push(entry);
    this.parts.commitBuffer.appended(row);
  }

  /**
   * A refresh is only ever sent from memory. In the store, an older entry of its user in another lane could end before the
   * refresh is read, which would then bring the user back.
   */
  private mayRefresh(
    { lane, userHash }: NewRow,
    checked: CheckedEntry,
    { segment, readSince }: BulkChunk,
  ): boolean {
    const { changedMembers, readAhead, pendingUsers } = this.parts;
    const further = pendingUsers.find(checked.userKey, userHash) !== undefined;
    if (further || !readAhead.hasRoom(lane, further)) return false;
    return !changedMembers.has(segment, memberKeyOfEntry(checked), readSince);
  }

  /** A refresh that is not sent: it has an outcome like any entry, in the commit that appends its row. */
  private endAtOnce(row: NewRow, checked: CheckedEntry): void {
    const entry = new PendingEntry(row, checked, 'waiting');
    this.parts.pendingUsers.withdraw(entry);
    this.parts.commitBuffer.appended(row);
    this.parts.commitBuffer.mark(row.seq, 'remove');
    this.admitted.push(entry);
  }

  /** Everything so far is committed. */
  committed(): void {
    this.admitted = [];
    this.charsOnDisk = 0;
    this.parts.readAhead.committed(this.lastSeq);
  }

  undo(taken: readonly Taken<null>[], nowMs: number): void {
    for (const entry of this.admitted.toReversed()) this.parts.pendingUsers.undoAdmit(entry, nowMs);
    this.parts.pendingUsers.queuedChars -= this.charsOnDisk;
    for (const { entries } of taken) this.parts.reports.notAccepted(entries.length);
    this.admitted = [];
    this.charsOnDisk = 0;
  }

  /** A new entry into memory; null when it is to be read back later. */
  private admit(
    row: NewRow,
    checked: CheckedEntry,
    pendingMessage: PendingMessage | null,
    nowMs: number,
  ): PendingEntry | null {
    const further = this.parts.pendingUsers.find(checked.userKey, row.userHash) !== undefined;
    if (!this.parts.readAhead.admits(row.lane, row.seq, further, row.appendedWallMs)) return null;
    const entry = new PendingEntry(row, checked, 'waiting', pendingMessage);
    entry.further = further;
    const { pendingUsers } = this.parts;
    const user = pendingUsers.add(entry, row.userHash);
    // Before it can cover older blocks, which would end with it.
    const isRefused = this.refuses(entry, user);
    pendingUsers.makeReady(user, nowMs);
    if (isRefused) pendingUsers.update(user, nowMs);
    return entry;
  }

  /** Ends what is not to be sent of an entry that has come into memory. Returns whether it may have ended something. */
  private refuses(entry: PendingEntry, user: User): boolean {
    const { pendingUsers, suppressions } = this.parts;
    const isAbandoned = this.isAbandoned(entry);
    if (isAbandoned) pendingUsers.discard(entry);
    const isSuppressed = suppressions.has(user.key);
    if (isSuppressed) pendingUsers.rejectAdds(entry.blocks);
    return isAbandoned || isSuppressed;
  }

  /** Of a node that closed without a durable store. */
  private isAbandoned({ seq, source }: Pick<NewRow, 'seq' | 'source'>): boolean {
    return seq <= (this.abandoned.get(source.node) ?? 0);
  }

  // ── Rows of the log ─────────────────────────────────────────────────────────────────────────────────────────

  /** Requests the rows that are due. */
  requestRows(): void {
    const { commitBuffer, readAhead, askTurn, failed, isStuck, someSendable } = this.parts;
    // A node that closed during the commit has discarded rows, which a read would still find. Another turn is asked for.
    if (!commitBuffer.isEmpty) return;
    const arrived = (read: RowsRead): void => {
      this.rowsRead.push(read);
      askTurn();
    };
    readAhead.request(arrived, failed, isStuck(), someSendable());
  }

  /** Whether rows have arrived since the last turn. */
  get hasRows(): boolean {
    return this.rowsRead.length > 0;
  }

  /** Admits the rows that were read or appended since the last turn. */
  takeRows(nowMs: number): void {
    for (const read of this.rowsRead.splice(0)) this.takeRead(read, nowMs);
    this.takeAppended(nowMs);
    this.refreshes.forget((throughSeq) => !this.parts.readAhead.hasUnreadIn('bulk', throughSeq));
  }

  private takeAppended(nowMs: number): void {
    for (const { lastSeq, rows } of this.fresh.splice(0)) {
      const firstSeq = this.lastSeq + 1;
      this.parts.reports.taken(lastSeq - this.lastSeq);
      this.lastSeq = lastSeq;
      if (rows === null) this.parts.readAhead.appended(lastSeq, this.parts.common.settings.clock.wallMs());
      else rows.forEach((row, at) => this.takeFresh({ ...row, seq: firstSeq + at }, nowMs));
      this.parts.readAhead.committed(lastSeq);
    }
  }

  private takeFresh(row: NewRow & FreshRow, nowMs: number): void {
    const { readAhead, pendingUsers, commitBuffer } = this.parts;
    const further = pendingUsers.find(row.entry.userKey, row.userHash) !== undefined;
    // One without room is read back, and looked at then.
    if (row.entry.refresh === true && readAhead.hasRoom(row.lane, further)) {
      const entry = new PendingEntry(row, row.entry, 'waiting');
      if (further || this.isOutdated(entry)) {
        pendingUsers.withdraw(entry);
        commitBuffer.mark(row.seq, 'remove');
        return;
      }
    }
    this.admit(row, row.entry, null, nowMs);
  }

  private isOutdated({ seq, checked }: PendingEntry): boolean {
    return this.refreshes.isOutdated(seq, checked.blocks[0]!.key, memberKeyOfEntry(checked));
  }

  private takeRead(read: RowsRead, nowMs: number): void {
    const { readAhead, pendingUsers } = this.parts;
    const { older } = readAhead;
    const touched = new Set<User>();
    if (read.kind === 'page') {
      for (const row of read.rows) this.takeRow(row, null, touched, nowMs);
      readAhead.admitted(read);
    } else {
      for (const { lookup, rows } of read.found) {
        if (!older.isWanted(lookup)) continue;
        for (const row of rows) this.takeRow(row, lookup.user, touched, nowMs);
      }
      for (const user of older.admitted(read)) touched.add(user);
    }
    pendingUsers.rowsRead(touched, nowMs);
  }

  /** `whose`: whose rows were looked for by the hash; null for any. */
  private takeRow(row: Row, whose: User | null, touched: Set<User>, nowMs: number): void {
    const { readAhead, pendingUsers } = this.parts;
    if (!readAhead.isNew(row)) return;
    const entry = this.entryOf(row, nowMs);
    if (entry === null) {
      readAhead.rowEnded(row.lane, row.seq);
      return;
    }
    const { userKey } = entry.checked;
    if (whose !== null && whose.key !== userKey) return;
    // Not the row's: of a damaged one it may be that of another user.
    const hash = hashUserKey(userKey);
    const known = pendingUsers.find(userKey, hash);
    if (known?.has(row.seq) === true) return;
    const mayRefresh = entry.refreshes && known === undefined && !this.isOutdated(entry);
    pendingUsers.count(entry, hash);
    const user = pendingUsers.add(entry, hash);
    touched.add(user);
    this.refuses(entry, user);
    if (entry.refreshes && !mayRefresh && row.state === 'waiting') pendingUsers.withdraw(entry);
  }

  /** An entry as it was taken, read back from its row. A damaged row is set aside as rejected. */
  private entryOf(row: Row, nowMs: number): PendingEntry | null {
    let checked: CheckedEntry;
    try {
      checked = parseBody(row.body);
    } catch (error) {
      this.parts.common.tally.add({
        level: 'error',
        kind: 'set aside',
        count: 1,
        text: (count) =>
          `${count} entries in the queue cannot be read and were set aside. The first is number ${row.seq}: ${String(error)}`,
      });
      this.parts.commitBuffer.mark(row.seq, 'remove');
      if (row.state === 'waiting') this.parts.reports.rowUnreadable();
      return null;
    }
    // The monotonic time of another process has no meaning in this one.
    const ofThisProcess = row.seq > this.startedWith;
    const agedMs = Math.max(0, this.parts.common.settings.clock.wallMs() - row.eventWallMs);
    const eventMonoMs = ofThisProcess ? row.eventMonoMs : nowMs - agedMs;
    const pendingMessage = this.parts.common.pendingMessages.find(row.seq);
    const source = row.instance === undefined ? row.source : { ...row.source, instance: row.instance };
    const { seq, lane, appendedWallMs } = row;
    return new PendingEntry(
      { seq, lane, source, eventMonoMs, appendedWallMs },
      checked,
      row.state,
      pendingMessage,
    );
  }
}
