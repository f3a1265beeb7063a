// Pending users: the state of each user that has entries in memory. Admits entries, ends blocks and removes
// users that are done.
//
// A row leaves the store only when no older row of its user can still be sent: older rows that are only in the store are
// read first (older-rows.ts), and in memory the order of the user's entries ensures it.

import type { CheckedEntry } from '../../entry/entry';
import { hashUserKey } from '../../entry/keys';
import { bodyChars } from '../../entry/serialise';
import type { Lane } from '../../queue/store';
import { Deletions, deletionTexts, isDeletion } from '../respond/deletions';
import { DueHeap } from './heap';
import type { CommitBuffer } from '../commit-buffer';
import type { Logins } from '../schedule/login';
import type { ReadAhead } from './read-ahead';
import { ReadyUsers } from '../schedule/ready';
import { closedCode, type Reports } from '../respond/reports';
import { Item, sentExpiration, type Cell, type End } from './item';
import { User } from './user';
import type { Held } from './waiting-blocks';
import type { WarmUps } from './warm-ups';

/** Recovered in-flight requests, which may run until `untilMs` (monotonic): the hashes of their users. */
export interface RecoveredRequests {
  readonly users: ReadonlySet<number>;
  readonly untilMs: number;
}

export class PendingUsers {
  readonly ready = new ReadyUsers();
  /** Sum of the body lengths of pending entries, in characters. */
  queuedChars = 0;
  private readonly users = new Map<string, User>();
  private readonly delayed = new DueHeap<User>();
  /** Users with ambiguous requests, due when these can no longer run. */
  private readonly late = new DueHeap<User>();
  readonly deletions = new Deletions();

  constructor(
    private readonly commitBuffer: CommitBuffer,
    private readonly readAhead: ReadAhead,
    private readonly reports: Reports,
    private readonly logins: Logins,
    private readonly recoveredRequests: RecoveredRequests,
    private readonly warmUps: WarmUps,
  ) {}

  // ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Adds an entry to its user and makes the user ready. */
  admit(item: Item, hash: number, nowMs: number): User {
    const user = this.add(item, hash);
    // `enqueue` visits every waiting block, so only one of each segment should be left.
    if (this.warmUps.any) this.merge(user);
    this.enqueue(user, nowMs);
    return user;
  }

  /** Adds an entry to its user. */
  add(item: Item, hash: number): User {
    const user = this.userOf(item.entry.userKey, hash);
    user.add(item);
    // A newer state does not wait for the backoff of an older one.
    user.notBeforeMs = 0;
    this.readAhead.older.need(user, laneOf(item.entry), item.seq);
    return user;
  }

  /** Counts an entry that was not newly appended in the read-ahead. Call before `add`. */
  count(item: Item): void {
    item.further = this.hasUser(item.entry.userKey);
    this.readAhead.loaded(laneOf(item.entry), item.further);
  }

  /** Whether the user has entries in memory. */
  hasUser(userKey: string): boolean {
    return this.users.has(userKey);
  }

  private userOf(key: string, hash: number): User {
    const found = this.users.get(key);
    if (found !== undefined) return found;
    const user = new User(key, hash);
    this.users.set(key, user);
    const { users, untilMs } = this.recoveredRequests;
    if (users.has(hash)) {
      user.ambiguousRequests().addUnknown(untilMs);
      this.late.push(untilMs, user);
    }
    return user;
  }

  /**
   * Sends an ended block once more, alone and as it was sent before. Does nothing when a newer block or an
   * ambiguous request of the user may concern the same segment, or when an add would have to be sent as a
   * removal because it expires within a minute.
   */
  resend(cell: Cell, nowMs: number): void {
    const { item, block, sentExpired } = cell;
    const { entry } = item;
    if (!this.mayResend(item)) return;
    const again = new Item(item, entry, 'repeat');
    const once = again.cells[cell.index]!;
    for (const other of again.cells) {
      if (other === once) continue;
      other.rejected = item.cells[other.index]!.rejected;
      other.state = 'ended';
    }
    const asRemoval = block.expiration !== -1 && sentExpiration(once, nowMs + 60_000) === -1;
    if (asRemoval && !sentExpired) return;
    this.count(again);
    this.queuedChars += bodyChars(entry);
    this.admit(again, hashUserKey(entry.userKey), nowMs);
  }

  /** Only when every known entry of the user is newer, so that this one is sent first. */
  private mayResend({ entry, seq }: Item): boolean {
    const user = this.users.get(entry.userKey);
    if (user === undefined) return true;
    const isNext = user.items.length === 0 || user.items[0]!.seq > seq;
    return isNext && user.flight === null && user.ambiguous === null;
  }

  /** Whether any user is ready that is not in a bisection. */
  get someReady(): boolean {
    for (const account of this.ready.accounts()) if (this.ready.size(account) > 0) return true;
    return false;
  }

  /** Undoes `admit` for an entry whose commit failed. Call for the newest entry first. */
  undoAdmit(item: Item, nowMs: number): void {
    if (item.open === 0) this.reports.undoEntryEnded(item);
    const user = this.users.get(item.entry.userKey);
    // An entry that has ended may already be removed.
    if (user?.undoAdd(item) !== true) return;
    this.queuedChars -= bodyChars(item.entry);
    this.readAhead.unloaded(laneOf(item.entry), item.further, item.seq);
    this.settle(user, nowMs);
  }

  /** Rows of these users were read. */
  rowsRead(users: ReadonlySet<User>, nowMs: number): void {
    for (const user of users) {
      if (user.flight === null) this.merge(user);
      this.settle(user, nowMs);
    }
  }

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────

  merge(user: User): void {
    // First, because deleted blocks would cause the newer blocks that were sent before them to be sent again.
    if (this.deletions.any) this.deleteEntry(user);
    const covered = user.merge();
    if (covered.length === 0) return;
    for (const cell of covered) this.end(cell, 'superseded', null);
    // Outcomes are reported after this turn's commit, so that commit must record them, also when the user is in
    // flight next.
    this.forget(user);
  }

  end(cell: Cell, end: End, rejection: { readonly code: string; readonly message: string } | null): void {
    const { item } = cell;
    cell.state = 'ended';
    if (!cell.again) {
      cell.again = true;
      const why = rejection !== null && isDeletion(rejection.code) ? rejection.code : null;
      if (end === 'accepted') item.acceptedBlocks += 1;
      else if (end === 'expired') item.expiredBlocks += 1;
      else if (rejection !== null) {
        item.rejection ??= rejection;
        if (why !== null || rejection.code === closedCode) item.discarded = true;
      }
      if (item.blockEnded()) {
        this.reports.entryEnded(item);
        if (why !== null) this.deletions.ended(item, why);
      }
    }
    const absorbed = cell.absorbed;
    if (absorbed === null) return;
    cell.absorbed = null;
    for (const older of absorbed) {
      // A block of a closed node has already ended by itself.
      if (older.state !== 'absorbed') continue;
      if (older.again && end === 'rejected') {
        // The older block was reported before and must be sent again; the newer block's rejection does not
        // change that.
        older.state = 'waiting';
        continue;
      }
      older.rejected = end === 'rejected';
      this.end(older, end === 'rejected' ? 'rejected' : 'superseded', rejection);
    }
  }

  reject(cell: Cell, code: string, message: string): void {
    cell.rejected = true;
    const where = cell.item.cells.length > 1 ? `seg_block[${cell.place}]: ` : '';
    this.end(cell, 'rejected', { code, message: where + message });
  }

  /** Discards the entries of a node in memory, except those in flight. */
  discardNode(node: string, nowMs: number): void {
    for (const user of [...this.users.values()]) {
      for (const item of user.items) if (item.source.node === node) this.discard(item);
      this.settle(user, nowMs);
    }
  }

  /** Discards what has not been reported. Blocks to resend were reported, so they stay and are sent later. */
  discard(item: Item): void {
    for (const cell of item.cells) {
      if (cell.again || (cell.state !== 'waiting' && cell.state !== 'absorbed')) continue;
      this.reject(cell, closedCode, 'The flow was stopped before this entry could be sent.');
    }
  }

  // ── Deletions ───────────────────────────────────────────────────────────────────────────────────────────────

  deleteAll(nowMs: number): void {
    for (const user of [...this.users.values()]) this.settle(user, nowMs);
  }

  /** Ends the entries of a user up to a sequence number, also those that are only in the store. */
  eraseUser(key: string, hash: number, throughSeq: number, nowMs: number): void {
    const user = this.userOf(key, hash);
    this.readAhead.older.erase(user, throughSeq);
    this.settle(user, nowMs);
  }

  /** Whether no older row of the user's entries in memory is only in the store. */
  isRead(key: string): boolean {
    const user = this.users.get(key);
    return user === undefined || this.readAhead.older.isComplete(user);
  }

  /** Ends the waiting blocks of deleted entries. */
  private deleteEntry(user: User): void {
    let some = false;
    // An absorbed block ends together with the block that absorbed it.
    for (const cell of user.waitingThrough(this.deletions.throughSeq(user.key))) {
      const why = cell.again ? null : this.deletions.of(cell.item);
      if (why === null) continue;
      this.reject(cell, why, deletionTexts[why]);
      some = true;
    }
    // Entries without effect at the service need not be remembered.
    if (some) for (const item of user.takeRejected()) this.retire(item);
  }

  /** Whether this entry is in memory. */
  has(userKey: string, seq: number): boolean {
    return this.users.get(userKey)?.has(seq) ?? false;
  }

  /** Whether the user has entries in memory up to this sequence number. */
  hasUpTo(userKey: string, seq: number): boolean {
    const first = this.users.get(userKey)?.items[0];
    return first !== undefined && first.seq <= seq;
  }

  /** Number of open entries in memory up to a sequence number: of one user, or of all users (null). */
  openUpTo(seq: number, userKey: string | null): number {
    const found = userKey === null ? undefined : this.users.get(userKey);
    const users = userKey === null ? this.users.values() : found === undefined ? [] : [found];
    let open = 0;
    for (const user of users) for (const item of user.items) if (item.open > 0 && item.seq <= seq) open += 1;
    return open;
  }

  // ── After a change ──────────────────────────────────────────────────────────────────────────────────────────

  /** Removes entries that are done, and enqueues the user when blocks wait. */
  settle(user: User, nowMs: number): void {
    if (this.deletions.any) this.deleteEntry(user);
    this.forget(user);
    // A user in a bisection is still referenced there; a second object for the same user could be sent at the
    // same time.
    const { older } = this.readAhead;
    if (user.idle && !user.inBisection && older.isComplete(user)) {
      if (this.users.get(user.key) === user) this.users.delete(user.key);
      older.forget(user);
      this.ready.forget(user);
      return;
    }
    older.goOn(user);
    this.enqueue(user, nowMs);
  }

  private forget(user: User): void {
    // While older rows are only in the store, ended entries stay: they cover those, or must be sent again after them.
    const throughSeq = this.readAhead.older.completeThroughSeq(user);
    for (const item of user.takeRetired(throughSeq)) this.retire(item);
    for (const item of user.takeClosed()) {
      if (item.row !== 'waiting') continue;
      // The entry has ended, but an older entry of this user has not, so the row stays. An entry without effect
      // goes: a resend after a crash must not include deleted blocks.
      const mark = item.hadNoEffect ? 'remove' : 'repeat';
      this.commitBuffer.mark(item.seq, mark);
      item.row = mark === 'remove' ? null : 'repeat';
    }
    for (const item of user.takeCovered()) this.retire(item);
  }

  private retire(item: Item): void {
    this.readAhead.unloaded(laneOf(item.entry), item.further, item.seq);
    this.queuedChars -= bodyChars(item.entry);
    if (item.row !== null) this.commitBuffer.mark(item.seq, 'remove');
  }

  /**
   * Puts the user into the ready queue, or lets it wait for its backoff or for a warm-up. Skips users in flight
   * or in a bisection.
   */
  enqueue(user: User, nowMs: number): void {
    if (user.flight !== null || user.inBisection || !user.waits) return;
    if (this.readAhead.older.holds(user)) {
      this.ready.forget(user);
      return;
    }
    const atMs = Math.max(user.notBeforeMs, this.oldEnoughAtMs(user, nowMs));
    if (atMs > nowMs) {
      this.ready.forget(user);
      if (user.delayedUntilMs !== atMs) this.delayed.push(atMs, user);
      user.delayedUntilMs = atMs;
      return;
    }
    this.ready.put(user, this.accountOf(user, nowMs));
  }

  /** When the first block of the user is no longer in a warm-up. */
  private oldEnoughAtMs(user: User, nowMs: number): number {
    return this.warmUps.any ? user.freeAtMs((cell) => this.warmUps.untilMs(cell, nowMs)) : -Infinity;
  }

  /** Tells which blocks wait for the warm-up of their segment; undefined when there are no warm-ups. */
  heldNow(nowMs: number): Held | undefined {
    return this.warmUps.any ? (cell) => this.warmUps.untilMs(cell, nowMs) > nowMs : undefined;
  }

  /** The warm-ups have changed: enqueues every user again. */
  warmUpsChanged(nowMs: number): void {
    for (const user of this.users.values()) this.enqueue(user, nowMs);
  }

  /**
   * Account for the user's next request: the first one that can send now, of those whose blocks may go next.
   */
  private accountOf(user: User, nowMs: number): string {
    const accounts = user.nextAccounts(this.heldNow(nowMs));
    if (accounts.length === 1) return this.logins.serving(accounts[0]!) ?? accounts[0]!;
    const serving = accounts.map((account) => this.logins.serving(account) ?? account);
    return serving.find((account) => this.logins.isReady(account)) ?? serving[0]!;
  }

  /**
   * The set of accounts that can send has changed: moves users of accounts that cannot send to others that can.
   */
  requeueHeld(nowMs: number): void {
    for (const account of [...this.ready.accounts()]) {
      if (this.logins.isReady(account)) continue;
      for (const user of this.ready.drain(account)) this.enqueue(user, nowMs);
    }
  }

  /** Whether any user waits for an account that cannot send. */
  get someHeld(): boolean {
    for (const account of this.ready.accounts()) {
      if (this.ready.size(account) > 0 && !this.logins.isReady(account)) return true;
    }
    return false;
  }

  /** A request with these cells was ambiguous and may run until `untilMs`. */
  addAmbiguous(user: User, cells: readonly Cell[], untilMs: number): void {
    user.ambiguousRequests().add(cells, untilMs);
    this.late.push(untilMs, user);
  }

  /** The machine slept for `forMs`: ambiguous requests may run that much longer. */
  slept(forMs: number): void {
    for (const user of this.users.values()) {
      if (user.ambiguous === null) continue;
      user.ambiguous.slept(forMs);
      this.late.push(user.ambiguous.untilMs, user);
    }
  }

  takeDue(nowMs: number): void {
    for (let user = this.delayed.popDue(nowMs); user !== null; user = this.delayed.popDue(nowMs)) {
      user.delayedUntilMs = -Infinity;
      this.enqueue(user, nowMs);
    }
    for (let user = this.late.popDue(nowMs); user !== null; user = this.late.popDue(nowMs)) {
      // For a user in flight this is done when its request ends.
      if (user.flight !== null) continue;
      user.clearAmbiguous(nowMs);
      this.settle(user, nowMs);
    }
  }

  /** Ends every backoff. */
  endWaits(nowMs: number): void {
    for (const user of this.users.values()) {
      user.notBeforeMs = 0;
      this.enqueue(user, nowMs);
    }
  }

  /** Monotonic ms when the next backoff ends, or Infinity. */
  nextRetryMs(): number {
    return this.delayed.nextAtMs();
  }

  /** Monotonic ms when the next ambiguous request can no longer run, or Infinity. */
  nextLateMs(): number {
    return this.late.nextAtMs();
  }

  /** Epoch ms at which the oldest pending entry in memory was accepted, or Infinity. */
  oldestTakenWallMs(): number {
    let oldestMs = Infinity;
    for (const user of this.users.values()) {
      const oldest = user.items.find(({ open }) => open > 0);
      if (oldest !== undefined) oldestMs = Math.min(oldestMs, oldest.takenWallMs);
    }
    return oldestMs;
  }
}

export function laneOf(entry: CheckedEntry): Lane {
  return entry.removes ? 'removal' : 'add';
}
