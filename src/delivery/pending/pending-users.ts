// Pending users: the state of each user that has entries in memory. Admits entries, ends blocks and removes
// users that are done.
//
// A row leaves the store only when no older row of its user can still be sent: older rows that are only in the store are
// read first (older-rows.ts), and in memory the order of the user's entries ensures it.

import { hashUserKey } from '../../entry/keys';
import { bodyChars } from '../../entry/serialise';
import { Deletions, deletionTexts, isDeletion } from '../respond/deletions';
import { DueHeap } from './heap';
import type { CommitBuffer } from '../commit-buffer';
import type { Logins } from '../schedule/login';
import type { ReadAhead } from './read-ahead';
import { closedCode, type Reports } from '../respond/reports';
import { PendingEntry, sentExpiration, type PendingBlock, type End } from './pending-entry';
import { Readiness } from './readiness';
import { User } from './user';
import { UserTable } from './user-table';
import type { WarmUps } from './warm-ups';
import type { MemberChanges } from '../sync/member-changes';
import { suppressedCode, suppressedText, type Suppressions } from '../sync/suppressions';

/** Requests of an earlier process of which the store has no reply. */
export interface RecoveredRequests {
  /** Until when one may run, in monotonic ms by the hash of a user's key. */
  readonly untilByUser: ReadonlyMap<number, number>;
  /** Hashes of the keys of all of their users. Unlike in `untilByUser`, those of requests that can no longer run stay. */
  readonly userHashes: ReadonlySet<number>;
}

export class PendingUsers {
  readonly readiness: Readiness;
  /** Sum of the body lengths of pending entries, in characters. */
  queuedChars = 0;
  private readonly users = new UserTable<User>();
  /** Users with ambiguous requests, due when these can no longer run. */
  private readonly late = new DueHeap<User>();
  readonly deletions = new Deletions();

  private readonly commitBuffer: CommitBuffer;
  private readonly members: MemberChanges;
  private readonly suppressions: Suppressions;

  constructor(
    {
      commitBuffer,
      members,
      suppressions,
    }: {
      readonly commitBuffer: CommitBuffer;
      readonly members: MemberChanges;
      readonly suppressions: Suppressions;
    },
    private readonly readAhead: ReadAhead,
    private readonly reports: Reports,
    logins: Logins,
    private readonly recoveredRequests: RecoveredRequests,
    private readonly warmUps: WarmUps,
  ) {
    this.commitBuffer = commitBuffer;
    this.members = members;
    this.suppressions = suppressions;
    this.readiness = new Readiness(logins, warmUps, readAhead.older);
  }

  // ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** An entry was added to the user. */
  makeReady(user: User, nowMs: number): void {
    // `enqueue` visits every waiting block, so only one of each segment should be left.
    if (this.warmUps.any) this.merge(user);
    this.readiness.enqueue(user, nowMs);
  }

  /** Adds an entry to its user, which is in memory if the entry is a `further` one. */
  add(entry: PendingEntry, hash: number): User {
    const { userKey } = entry.checked;
    const user = entry.further ? this.users.find(userKey, hash)! : this.newUser(userKey, hash);
    user.add(entry);
    // A newer state does not wait for the backoff of an older one.
    endBackoff(user);
    this.withdrawRefresh(user, entry);
    const { older, openedThroughSeq } = this.readAhead;
    const isRecovered = this.recoveredRequests.userHashes.has(hash);
    if (isRecovered && entry.seq <= openedThroughSeq)
      for (const block of entry.blocks) block.mayHaveRun = true;
    // An entry that is not sent, such as a deleted one, needs nothing older to be read before it.
    if (entry.unended > 0 && this.deletions.of(entry) === null) {
      older.need(user, entry.lane, entry.seq);
      // An earlier process may have delivered newer rows, too.
      if (isRecovered || entry.row === 'repeat') older.needNewer(user, openedThroughSeq);
    }
    return user;
  }

  /**
   * A refresh is made of what the members were when they were read. It never replaces an older entry of its user, since
   * that one is newer news. So a refresh that stays is the oldest entry.
   */
  private withdrawRefresh(user: User, added: PendingEntry): void {
    if (!user.hasSeveral) return;
    const [oldest, second] = user.entries;
    if (second === undefined) return;
    const refresh = added === oldest ? second : added;
    if (!refresh.refreshes) return;
    this.withdraw(refresh);
    this.forget(user);
  }

  /** Ends an entry that has not been sent, as if a newer one had replaced it. */
  withdraw(entry: PendingEntry): void {
    for (const block of entry.blocks) {
      if (block.again || block.state !== 'waiting') continue;
      // It replaces nothing.
      block.rejected = true;
      this.end(block, 'superseded', null);
    }
  }

  /** Counts an entry that was not newly appended in the read-ahead. Call before `add`. */
  count(entry: PendingEntry, hash: number): void {
    entry.further = this.find(entry.checked.userKey, hash) !== undefined;
    this.readAhead.loaded(entry.lane, entry.further);
  }

  /** The user in memory with this key, whose hash is `hashUserKey` of it. */
  find(key: string, hash?: number): User | undefined {
    return this.users.find(key, hash);
  }

  /** Oldest first. Not to be changed meanwhile. */
  all(): Iterable<User> {
    return this.users;
  }

  private newUser(key: string, hash: number): User {
    const user = new User(key, hash);
    this.users.add(user);
    const untilMs = this.recoveredRequests.untilByUser.get(hash);
    if (untilMs !== undefined) {
      user.ambiguousRequests().addUnknown(untilMs);
      this.late.push(untilMs, user);
    }
    return user;
  }

  /**
   * Sends an ended block once more, alone and as it was sent before. Does nothing for an add of a suppressed user, when a newer
   * block or an ambiguous request of the user may concern the same segment, or when an add would have to be sent as a
   * removal because it expires within a minute.
   */
  resend(block: PendingBlock, nowMs: number): void {
    const { entry, segBlock, sentExpired } = block;
    const { checked } = entry;
    if (segBlock.expiration !== -1 && this.suppressions.has(checked.userKey)) return;
    const hash = hashUserKey(checked.userKey);
    if (!mayResend(this.find(checked.userKey, hash), entry.seq)) return;
    const again = new PendingEntry(entry, checked, 'repeat');
    const once = again.blocks[block.index]!;
    for (const other of again.blocks) {
      if (other === once) continue;
      other.rejected = entry.blocks[other.index]!.rejected;
      other.state = 'ended';
    }
    const asRemoval = segBlock.expiration !== -1 && sentExpiration(once, nowMs + 60_000) === -1;
    if (asRemoval && !sentExpired) return;
    this.count(again, hash);
    this.queuedChars += bodyChars(checked);
    this.makeReady(this.add(again, hash), nowMs);
  }

  /** Undoes `add` and `makeReady` for an entry whose commit failed. Call for the newest entry first. */
  undoAdmit(entry: PendingEntry, nowMs: number): void {
    if (entry.open === 0) this.reports.undoEntryEnded(entry);
    const user = this.find(entry.checked.userKey);
    // An entry that has ended may already be removed.
    if (user?.undoAdd(entry) !== true) return;
    this.queuedChars -= bodyChars(entry.checked);
    this.readAhead.unloaded(entry.lane, entry.further, entry.seq);
    this.update(user, nowMs);
  }

  /** Rows of these users were read. */
  rowsRead(users: ReadonlySet<User>, nowMs: number): void {
    for (const user of users) {
      if (user.flight === null) this.merge(user);
      this.update(user, nowMs);
    }
  }

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────

  merge(user: User): void {
    // First, because deleted blocks would cause the newer blocks that were sent before them to be sent again.
    if (this.deletions.any) this.deleteEntry(user);
    const covered = user.merge();
    if (covered.length === 0) return;
    for (const block of covered) this.end(block, 'superseded', null);
    // Outcomes are reported after this turn's commit, so that commit must record them, also when the user is in
    // flight next.
    this.forget(user);
  }

  end(
    block: PendingBlock,
    end: End,
    rejection: { readonly code: string; readonly message: string } | null,
  ): void {
    const { entry } = block;
    block.state = 'ended';
    if (!block.again) {
      block.again = true;
      const why = rejection !== null && isDeletion(rejection.code) ? rejection.code : null;
      if (end === 'expired' || (end === 'accepted' && entry.effect === 'none')) entry.effect = end;
      else if (rejection !== null) {
        entry.rejection ??= rejection;
        if (why !== null || rejection.code === closedCode) entry.blockDiscarded();
      }
      if (entry.blockEnded()) {
        this.reports.entryEnded(entry);
        if (why !== null) this.deletions.ended(entry, why);
      }
    }
    const absorbed = block.absorbed;
    if (absorbed === null) return;
    block.absorbed = null;
    const isDeleted = rejection !== null && isDeletion(rejection.code);
    const isSuppressed = rejection?.code === suppressedCode;
    for (const older of absorbed) {
      // A block of a closed node has already ended by itself.
      if (older.state !== 'absorbed') continue;
      // An older block waits again if it was reported before and must be sent again, if it is the removal of an earlier
      // erasure, or if the newer one was an add of a suppressed user.
      const isStillDue = older.again
        ? end === 'rejected'
        : isSuppressed || (isDeleted && this.deletions.of(older.entry) === null);
      if (isStillDue) {
        older.state = 'waiting';
        continue;
      }
      older.rejected = end === 'rejected';
      this.end(older, end === 'rejected' ? 'rejected' : 'superseded', rejection);
    }
  }

  reject(block: PendingBlock, code: string, message: string): void {
    block.rejected = true;
    this.members.rejected(block, code);
    const where = block.entry.isSingle ? '' : `seg_block[${block.place}]: `;
    this.end(block, 'rejected', { code, message: where + message });
  }

  /** Discards the entries of a node in memory, except those in flight. */
  discardNode(node: string, nowMs: number): void {
    for (const user of [...this.users]) {
      for (const entry of user.entries) if (entry.source.node === node) this.discard(entry);
      this.update(user, nowMs);
    }
  }

  /** Discards what has not been reported. Blocks to resend were reported, so they stay and are sent later. */
  discard(entry: PendingEntry): void {
    for (const block of entry.blocks) {
      if (block.again || (block.state !== 'waiting' && block.state !== 'absorbed')) continue;
      this.reject(block, closedCode, 'The flow was stopped before this entry could be sent.');
    }
  }

  // ── Suppressed users ────────────────────────────────────────────────────────────────────────────────────────

  /** Ends the adds of a suppressed user that wait, or wait again after a request. */
  endAdds(userKey: string, nowMs: number): void {
    const user = this.find(userKey);
    if (user === undefined) return;
    user.troubled().endsAdds = true;
    this.update(user, nowMs);
  }

  private rejectAddsOf(user: User): void {
    // What an add had covered waits after it has ended.
    for (let adds = user.waitingAdds(); adds.length > 0; adds = user.waitingAdds()) this.rejectAdds(adds);
  }

  /** Ends those of a suppressed user's blocks that are adds and wait. */
  rejectAdds(blocks: readonly PendingBlock[]): void {
    for (const block of blocks) {
      if (block.state !== 'waiting' || block.segBlock.expiration === -1) continue;
      const why = block.again ? null : this.deletions.of(block.entry);
      if (why === null) this.reject(block, suppressedCode, suppressedText);
      else this.reject(block, why, deletionTexts[why]);
    }
  }

  // ── Deletions ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends the entries of a user up to a sequence number, also those that are only in the store. */
  eraseUser(key: string, hash: number, throughSeq: number, nowMs: number): void {
    const user = this.find(key, hash) ?? this.newUser(key, hash);
    this.readAhead.older.erase(user, throughSeq);
    this.update(user, nowMs);
  }

  /** Ends the waiting blocks of deleted entries. */
  private deleteEntry(user: User): void {
    let some = false;
    // An absorbed block ends together with the block that absorbed it.
    for (const block of user.waitingThrough(this.deletions.throughSeq(user.key))) {
      const why = block.again ? null : this.deletions.of(block.entry);
      if (why === null) continue;
      this.reject(block, why, deletionTexts[why]);
      some = true;
    }
    // Entries without effect at the service need not be remembered.
    if (some) for (const entry of user.takeRejected()) this.retire(entry);
  }

  // ── After a change ──────────────────────────────────────────────────────────────────────────────────────────

  /** Removes entries that are done, and enqueues the user when blocks wait. */
  update(user: User, nowMs: number): void {
    // Before the deleted entries, some of which wait only after an add that had covered them has ended.
    if (user.trouble?.endsAdds === true && this.suppressions.has(user.key)) this.rejectAddsOf(user);
    if (this.deletions.any) this.deleteEntry(user);
    this.forget(user);
    // A user in a bisection is still referenced there; a second object for the same user could be sent at the
    // same time.
    const { older } = this.readAhead;
    if (user.idle && !user.inBisection && older.isComplete(user)) {
      this.users.delete(user);
      older.forget(user);
      this.readiness.ready.forget(user);
      return;
    }
    older.goOn(user);
    this.readiness.enqueue(user, nowMs);
  }

  private forget(user: User): void {
    // While older rows are only in the store, ended entries stay: they cover those, or must be sent again after them.
    const throughSeq = this.readAhead.older.completeThroughSeq(user);
    for (const entry of user.takeRetired(throughSeq)) this.retire(entry);
    for (const entry of user.takeClosed()) {
      if (entry.row !== 'waiting') continue;
      // The entry has ended, but an older entry of this user has not, so the row stays. An entry without effect
      // goes: a resend after a crash must not include deleted blocks.
      const mark = entry.hadNoEffect ? 'remove' : 'repeat';
      this.commitBuffer.mark(entry.seq, mark);
      entry.row = mark === 'remove' ? null : 'repeat';
    }
    for (const entry of user.takeCovered()) this.retire(entry);
  }

  private retire(entry: PendingEntry): void {
    this.readAhead.unloaded(entry.lane, entry.further, entry.seq);
    this.queuedChars -= bodyChars(entry.checked);
    if (entry.row !== null) this.commitBuffer.mark(entry.seq, 'remove');
  }

  /** The warm-ups have changed: enqueues every user again. */
  warmUpsChanged(nowMs: number): void {
    for (const user of this.users) this.readiness.enqueue(user, nowMs);
  }

  /** A request with these blocks was ambiguous and may run until `untilMs`. */
  addAmbiguous(user: User, blocks: readonly PendingBlock[], untilMs: number): void {
    for (const block of blocks) block.mayHaveRun = true;
    user.ambiguousRequests().add(blocks, untilMs);
    this.late.push(untilMs, user);
  }

  /** The machine slept for `forMs`: ambiguous requests may run that much longer. */
  slept(forMs: number): void {
    for (const user of this.users) {
      if (user.ambiguous === null) continue;
      user.ambiguous.slept(forMs);
      this.late.push(user.ambiguous.untilMs, user);
    }
  }

  takeDue(nowMs: number): void {
    this.readiness.takeDue(nowMs);
    for (let user = this.late.popDue(nowMs); user !== null; user = this.late.popDue(nowMs)) {
      // For a user in flight this is done when its request ends.
      if (user.flight !== null) continue;
      user.clearAmbiguous(nowMs);
      this.update(user, nowMs);
    }
  }

  /** Ends every backoff. */
  endWaits(nowMs: number): void {
    for (const user of this.users) {
      endBackoff(user);
      this.readiness.enqueue(user, nowMs);
    }
  }

  /** Monotonic ms when the next ambiguous request can no longer run, or Infinity. */
  nextLateMs(): number {
    return this.late.nextAtMs();
  }
}

function endBackoff({ trouble }: User): void {
  if (trouble !== null) trouble.notBeforeMs = 0;
}

/** Only when every known entry of the user is newer, so that this one is sent first. */
function mayResend(user: User | undefined, seq: number): boolean {
  if (user === undefined) return true;
  const [first] = user.entries;
  const isNext = first === undefined || first.seq > seq;
  return isNext && user.flight === null && user.ambiguous === null;
}
