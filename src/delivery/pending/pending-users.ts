// Everybody with something in memory: entries come in, blocks end, and what no longer matters is forgotten.
//
// A row leaves the store only when nothing older of its user can still be sent: in memory that is the order of
// the user's entries, on disk a tombstone tells it to whoever reads the older row (see store.ts).

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
import { User, type Held } from './user';
import type { WarmUps } from './warm-ups';

/** Requests of an earlier process that may run until `untilMs` (monotonic): the hashes of their users. */
export interface RecoveredRequests {
  readonly users: ReadonlySet<number>;
  readonly untilMs: number;
}

/** Bounds the memory they take; beyond, a rejected block hides what is older of its segment. */
const mostPartlyRejected = 10_000;

export class PendingUsers {
  readonly ready = new ReadyUsers();
  /** Sum of the body lengths of what waits, in characters. */
  queuedChars = 0;
  /** Whether rows may be tombstones. */
  tombstonesMade = false;
  private readonly users = new Map<string, User>();
  private readonly delayed = new DueHeap<User>();
  /** Users of lost requests, due when these can no longer run. */
  private readonly late = new DueHeap<User>();
  private tombstonesWhileReading: Item[] = [];
  /** Tombstones of which some blocks were rejected, by number: the log does not say so, and they cover nothing. */
  private readonly partlyRejected = new Map<number, readonly boolean[]>();

  constructor(
    private readonly commitBuffer: CommitBuffer,
    private readonly readAhead: ReadAhead,
    private readonly reports: Reports,
    private readonly logins: Logins,
    private readonly recoveredRequests: RecoveredRequests,
    private readonly warmUps: WarmUps,
    readonly deletions = new Deletions(),
  ) {}

  // ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Puts an entry into its user's hands and queues the user. */
  admit(item: Item, hash: number, nowMs: number): User {
    const user = this.add(item, hash);
    // When it may go is asked of every block that waits: so one of each segment should.
    if (this.warmUps.any) this.merge(user);
    this.enqueue(user, nowMs);
    return user;
  }

  /** Puts an entry into its user's hands. */
  add(item: Item, hash: number): User {
    const user = this.userOf(item.entry.userKey, hash);
    user.add(item);
    // A newer state does not wait for the backoff of an older one.
    user.notBeforeMs = 0;
    return user;
  }

  /** Lets the read-ahead count an entry that did not come as a new one. Call before its user has it. */
  count(item: Item): void {
    item.further = this.knows(item.entry.userKey);
    this.readAhead.loaded(laneOf(item.entry), item.further);
  }

  /** Whether somebody has something in memory. */
  knows(userKey: string): boolean {
    return this.users.has(userKey);
  }

  private userOf(key: string, hash: number): User {
    const found = this.users.get(key);
    if (found !== undefined) return found;
    const user = new User(key, hash);
    this.users.set(key, user);
    const { users, untilMs } = this.recoveredRequests;
    if (users.has(hash)) {
      user.suspectAll(untilMs);
      this.late.push(untilMs, user);
    }
    this.deletions.meet(key, hash);
    return user;
  }

  /**
   * Sends a block that ended once more, as it was sent and without the others of its entry, which may have newer ones. Not
   * when something newer of its user may be about the same segment, or a lost request may; nor when its time is nearly
   * over, since an add would then go as a removal that nobody asked for.
   */
  resend(cell: Cell, nowMs: number): void {
    const { item, block, sentExpired } = cell;
    const { entry, seq, source, eventMonoMs, takenWallMs } = item;
    if (this.users.get(entry.userKey)?.takesBack(cell) === false) return;
    // The whole entry, since the log may keep it as a tombstone, of which this one takes the place in memory.
    const again = new Item(seq, entry, source, eventMonoMs, takenWallMs, 'repeat', null);
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

  /** Whether anybody could be sent now who is not under search. */
  get someReady(): boolean {
    for (const account of this.ready.accounts()) if (this.ready.size(account) > 0) return true;
    return false;
  }

  /** An entry of a failed commit: as if it had never come. Call for the newest first. */
  untake(item: Item, nowMs: number): void {
    if (item.open === 0) this.reports.entryUnended(item);
    const user = this.users.get(item.entry.userKey);
    // One that has ended may be gone already.
    if (user?.untake(item) !== true) return;
    this.queuedChars -= bodyChars(item.entry);
    this.readAhead.unloaded(laneOf(item.entry), item.further);
    this.settle(user, nowMs);
  }

  /** Rows of a page are in: their users learn of what went ahead of them. */
  admitTombstones(tombstones: readonly Item[], touched: Set<User>, nowMs: number): void {
    for (const tombstone of [...tombstones, ...this.tombstonesWhileReading]) {
      const user = this.users.get(tombstone.entry.userKey);
      if (user === undefined || user.has(tombstone.seq)) continue;
      const rejected = this.partlyRejected.get(tombstone.seq);
      if (rejected !== undefined)
        tombstone.cells.forEach((cell, index) => (cell.rejected = rejected[index]!));
      this.count(tombstone);
      user.add(tombstone);
      touched.add(user);
    }
    for (const user of touched) {
      if (user.flight === null) this.merge(user);
      this.settle(user, nowMs);
    }
  }

  /** No page is on its way any more; tombstones below everything unread have done their work. */
  pagesDone(lastSeq: number): void {
    if (this.readAhead.readingAny) return;
    this.tombstonesWhileReading = [];
    if (!this.tombstonesMade) return;
    const floor = this.readAhead.tombstoneFloor(lastSeq);
    if (floor > 0) this.commitBuffer.dropTombstonesThrough(floor);
    for (const seq of this.partlyRejected.keys()) if (seq <= floor) this.partlyRejected.delete(seq);
    if (!this.readAhead.unreadAny) this.tombstonesMade = false;
  }

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────

  merge(user: User): void {
    // First, or what is given up would wake what went ahead of it.
    if (this.deletions.any) this.deleteEntry(user);
    const covered = user.merge();
    if (covered.length === 0) return;
    for (const cell of covered) this.end(cell, 'superseded', null);
    // They are told after this turn's commit, so it must know of them, also when the user leaves for the service.
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
      // One of a closed node has ended by itself.
      if (older.state !== 'absorbed') continue;
      if (older.again && end === 'rejected') {
        // It was reported before and is to be sent once more; the newer one that failed changes nothing in that.
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

  /** The entries of a node in memory are given up, except what is in flight. */
  discardNode(node: string, nowMs: number): void {
    for (const user of [...this.users.values()]) {
      for (const item of user.items) if (item.source.node === node) this.discard(item);
      this.settle(user, nowMs);
    }
  }

  /** What is only to be sent once more has been reported; it goes with the engine's next requests. */
  discard(item: Item): void {
    for (const cell of item.cells) {
      if (cell.again || (cell.state !== 'waiting' && cell.state !== 'absorbed')) continue;
      this.reject(cell, closedCode, 'The flow was stopped before this entry could be sent.');
    }
  }

  // ── Giving up ───────────────────────────────────────────────────────────────────────────────────────────────

  deleteAll(nowMs: number): void {
    for (const user of [...this.users.values()]) this.settle(user, nowMs);
  }

  deleteUser(key: string, nowMs: number): void {
    const user = this.users.get(key);
    if (user !== undefined) this.settle(user, nowMs);
  }

  /** Ends what waits of the entries that are given up. */
  private deleteEntry(user: User): void {
    let some = false;
    // What is absorbed shares the end of what absorbed it.
    for (const cell of user.waitingThrough(this.deletions.throughSeq(user.key))) {
      const why = cell.again ? null : this.deletions.of(cell.item);
      if (why === null) continue;
      this.reject(cell, why, deletionTexts[why]);
      some = true;
    }
    // Entries that changed nothing at the service need not be remembered beside those that will.
    if (some) for (const item of user.takeRejected()) this.retire(item);
  }

  /** Whether this entry is in memory. */
  has(userKey: string, seq: number): boolean {
    return this.users.get(userKey)?.has(seq) ?? false;
  }

  /** Whether anything of a user up to a number is in memory. */
  hasUpTo(userKey: string, seq: number): boolean {
    const first = this.users.get(userKey)?.items[0];
    return first !== undefined && first.seq <= seq;
  }

  /** Entries in memory up to a number that have not ended: of one user, or of all (null). */
  openUpTo(seq: number, userKey: string | null): number {
    const found = userKey === null ? undefined : this.users.get(userKey);
    const users = userKey === null ? this.users.values() : found === undefined ? [] : [found];
    let open = 0;
    for (const user of users) for (const item of user.items) if (item.open > 0 && item.seq <= seq) open += 1;
    return open;
  }

  // ── After a change ──────────────────────────────────────────────────────────────────────────────────────────

  /** Forgets what no longer matters and queues the user again when something waits. */
  settle(user: User, nowMs: number): void {
    if (this.deletions.any) this.deleteEntry(user);
    this.forget(user);
    // One under search is still held there; a second object for the same user would let it be sent twice at a time.
    if (user.idle && !user.isolated) {
      if (this.users.get(user.key) === user) this.users.delete(user.key);
      this.ready.forget(user);
      return;
    }
    this.enqueue(user, nowMs);
  }

  private forget(user: User): void {
    for (const item of user.takeRetired(this.readAhead.unreadAny)) this.retire(item);
    for (const item of user.takeClosed()) {
      if (item.row === 'repeat' || item.row === null) continue;
      // Ended, but something older of this user is not: kept until that has ended too, unless the service has nothing
      // of it: then there is nothing to send once more after a crash, least of all blocks that were given up.
      if (item.row === 'tombstone') this.queuedChars += bodyChars(item.entry);
      const mark = item.hadNoEffect ? 'remove' : 'repeat';
      this.commitBuffer.mark(item.seq, mark);
      item.row = mark === 'remove' ? null : 'repeat';
    }
    for (const item of user.takeCovered()) this.retire(item);
  }

  private retire(item: Item): void {
    this.readAhead.unloaded(laneOf(item.entry), item.further);
    if (item.row !== 'tombstone') this.queuedChars -= bodyChars(item.entry);
    if (item.row === null) return;
    const leavesNothing =
      item.covered || item.changedNothing || item.hadNoEffect || this.deletions.leavesNothing(item);
    if (leavesNothing || !this.readAhead.hasUnreadBefore(item.seq)) {
      this.commitBuffer.mark(item.seq, 'remove');
      return;
    }
    this.tombstonesMade = true;
    if (this.partlyRejected.size < mostPartlyRejected && item.cells.some(({ rejected }) => rejected))
      this.partlyRejected.set(
        item.seq,
        item.cells.map(({ rejected }) => rejected),
      );
    if (this.readAhead.readingAny) this.tombstonesWhileReading.push(tombstoneOf(item));
    if (item.row !== 'tombstone') this.commitBuffer.mark(item.seq, 'tombstone');
  }

  /** Puts a user where it waits: to be sent, or for its backoff. One in flight or under search is elsewhere. */
  enqueue(user: User, nowMs: number): void {
    if (user.flight !== null || user.isolated || !user.waits) return;
    const atMs = Math.max(user.notBeforeMs, this.oldEnoughAtMs(user, nowMs));
    if (atMs > nowMs) {
      this.ready.forget(user);
      if (user.delayedUntilMs !== atMs) this.delayed.push(atMs, user);
      user.delayedUntilMs = atMs;
      return;
    }
    this.ready.put(user, this.accountOf(user, nowMs));
  }

  /** When the first block of a user is for a segment that is old enough. */
  private oldEnoughAtMs(user: User, nowMs: number): number {
    return this.warmUps.any ? user.freeAtMs((cell) => this.warmUps.untilMs(cell, nowMs)) : -Infinity;
  }

  /** Which blocks stay for their segment's sake. */
  heldNow(nowMs: number): Held | undefined {
    return this.warmUps.any ? (cell) => this.warmUps.untilMs(cell, nowMs) > nowMs : undefined;
  }

  /** Other segments are young now: everybody is where that puts them. */
  warmUpsChanged(nowMs: number): void {
    for (const user of this.users.values()) this.enqueue(user, nowMs);
  }

  /** By which account the user may go: the first that can send now of those that its next request may take. */
  private accountOf(user: User, nowMs: number): string {
    const accounts = user.nextAccounts(this.heldNow(nowMs));
    if (accounts.length === 1) return this.logins.serving(accounts[0]!) ?? accounts[0]!;
    const serving = accounts.map((account) => this.logins.serving(account) ?? account);
    return serving.find((account) => this.logins.isReady(account)) ?? serving[0]!;
  }

  /** The accounts that can send have changed: who waits for one that cannot may go by another. */
  requeueHeld(nowMs: number): void {
    for (const account of [...this.ready.accounts()]) {
      if (this.logins.isReady(account)) continue;
      for (const user of this.ready.drain(account)) this.enqueue(user, nowMs);
    }
  }

  /** Whether somebody waits for an account that cannot send. */
  get someHeld(): boolean {
    for (const account of this.ready.accounts()) {
      if (this.ready.size(account) > 0 && !this.logins.isReady(account)) return true;
    }
    return false;
  }

  /** A request of these cells was lost and may run until `untilMs`. */
  suspect(user: User, cells: readonly Cell[], untilMs: number): void {
    user.suspect(cells, untilMs);
    this.late.push(untilMs, user);
  }

  /** The machine slept, and with it what is lost. */
  slept(forMs: number): void {
    for (const user of this.users.values()) if (user.slept(forMs)) this.late.push(user.suspectUntilMs, user);
  }

  takeDue(nowMs: number): void {
    for (let user = this.delayed.popDue(nowMs); user !== null; user = this.delayed.popDue(nowMs)) {
      user.delayedUntilMs = -Infinity;
      this.enqueue(user, nowMs);
    }
    for (let user = this.late.popDue(nowMs); user !== null; user = this.late.popDue(nowMs)) {
      // One in flight clears them when it comes back.
      if (user.flight !== null) continue;
      user.clearSuspects(nowMs);
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

  /** When a backoff ends, or Infinity. */
  nextRetryMs(): number {
    return this.delayed.nextAtMs();
  }

  /** When a lost request can no longer run, or Infinity. */
  nextLateMs(): number {
    return this.late.nextAtMs();
  }

  /** Epoch ms at which the oldest waiting entry in memory was taken, or Infinity. */
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

function tombstoneOf(item: Item): Item {
  return new Item(item.seq, item.entry, item.source, item.eventMonoMs, item.takenWallMs, 'tombstone', null);
}
