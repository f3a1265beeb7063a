// The turns of an engine, in which all of its state changes.
//
// Replies, pages and input only queue up until the next turn. It decides what is taken, what has ended and what departs;
// one commit makes that durable; only after it do requests leave and messages end. So a crash at any moment finds a store
// that explains everything on the wire (architecture.md 4).

import type { Commit, Opened, QueueError } from '../queue/store';
import type { EngineParts } from './engine-parts';
import { tooManyHeldText } from './pending/warm-ups';
import { closedEnd } from './pending-messages';
import { asQueueError, storeEnd } from './respond/not-accepted';
import type { Post } from './schedule/post';
import { UnsettledRequests } from './schedule/unsettled-requests';
import { WakeUp } from './schedule/wake-up';
import { outcomesOfOthers } from './shared/stored-outcomes';

const storeRetryMs = 1_000;

export class Turns {
  opened = false;
  closed = false;
  /** By an operator. */
  paused = false;
  /** Why the store does not work. */
  trouble: QueueError | null = null;
  private retryAtMs = -Infinity;
  private flushAsked = false;
  /** While it is parked: monotonic ms from which nothing leaves that still waits for its token or for a connection. */
  private leavesUntilMs = Infinity;
  /** Posts of this turn, which leave after its commit. */
  private departing: Post[] = [];
  /** `taking`: the turn goes on later. */
  private phase: 'idle' | 'taking' | 'committing' = 'idle';
  private turnAsked = false;
  /** Asked for while a turn or a commit was under way. */
  private turnMissed = false;
  private readonly unsettled = new UnsettledRequests();
  private readonly wakeUp: WakeUp;

  constructor(private readonly parts: EngineParts) {
    this.wakeUp = new WakeUp(parts.clock, () => this.ask());
  }

  /** The store is open, and holds this. */
  found(opened: Opened): void {
    const { commitBuffer, lease, loader, readAhead, recoveredRequests, scheduler } = this.parts;
    this.trouble = null;
    this.opened = true;
    loader.opened(opened, lease.instance === undefined);
    readAhead.opened(opened);
    for (const { users, untilMs } of recoveredRequests.quota()) scheduler.rateLimiter.recover(users, untilMs);
    recoveredRequests.note(commitBuffer);
    lease.opened();
    this.ask();
  }

  notFound(error: QueueError): void {
    this.trouble = error;
    this.parts.log('error', error.message);
    this.ask();
  }

  /** Nothing departs any more, and what has not been written by then (monotonic ms) stays; Infinity ends that. */
  park(leavesUntilMs: number): void {
    this.leavesUntilMs = leavesUntilMs;
    this.ask();
  }

  get parked(): boolean {
    return this.leavesUntilMs < Infinity;
  }

  flush(): void {
    this.flushAsked = true;
    this.ask();
  }

  /** Resolves when what is on its way now has ended. */
  settled(): Promise<void> {
    return new Promise((done) => {
      this.unsettled.wait(this.parts.producer.pushed, done);
      if (this.phase === 'idle') this.tellSettled();
    });
  }

  /** Call when no commit is under way. */
  private tellSettled(): void {
    this.unsettled.tell(this.parts.producer.storedThrough, this.closed);
  }

  /** No turn comes any more. */
  close(): void {
    this.closed = true;
    this.wakeUp.cancel();
    if (this.phase === 'taking') this.parts.producer.noneStored(closedEnd);
    this.parts.producer.refuse(closedEnd);
    this.tellSettled();
  }

  warmUpsChanged(): void {
    const { warmUps, store, pendingUsers, clock } = this.parts;
    // Kept for the next process; should that fail, its nodes ask again soon.
    if (this.opened) warmUps.save(store).catch(() => undefined);
    pendingUsers.warmUpsChanged(clock.monoMs());
    this.ask();
  }

  /** Asks for a turn. */
  ask(): void {
    if (this.turnAsked || this.closed) return;
    this.turnAsked = true;
    this.parts.clock.endOfTurn(() => {
      this.turnAsked = false;
      this.turn();
    });
  }

  private turn(): void {
    if (this.closed) return;
    if (this.phase !== 'idle') {
      this.turnMissed = true;
    } else if (this.opened) {
      const nowMs = this.parts.clock.monoMs();
      this.noticeSleep();
      for (const { post, outcome, atMs } of this.parts.requestsInFlight.takeReplies()) {
        this.parts.outcomes.settle(post, outcome, atMs);
        this.unsettled.settled(post.number);
      }
      this.parts.loader.takeRows(nowMs);
      this.parts.deleter.turn(nowMs);
      this.take();
    } else if (this.trouble !== null) {
      this.parts.producer.refuse(storeEnd(this.trouble));
    }
  }

  /**
   * A message with very many entries is taken in slices. Between two of them the process does what else there is, but the
   * turn goes on: nothing is sent, settled or committed before all of the message is taken. Each slice reads the clock: it
   * may take messages that were handed in after the one before, and the machine may have slept in between.
   */
  private take(): void {
    this.phase = this.parts.producer.take(this.parts.clock.monoMs()) ? 'idle' : 'taking';
    if (this.phase === 'idle') {
      this.endTurn();
      return;
    }
    this.parts.clock.endOfTurn(() => {
      if (!this.closed) this.take();
    });
  }

  private endTurn(): void {
    const nowMs = this.parts.clock.monoMs();
    this.noticeSleep();
    this.takeDue(nowMs);
    if (this.mayDepart) this.depart(nowMs);
    if (!this.parked) this.parts.requestsInFlight.askTokens(this.parts.scheduler.wantsToken);
    this.commit();
  }

  /**
   * A lost request may still be inside this machine: after the sleep it has as much time left as before. The timer stood
   * still, and is set anew.
   */
  private noticeSleep(): void {
    const forMs = this.wakeUp.sleptMs();
    if (forMs === 0) return;
    this.parts.pendingUsers.slept(forMs);
    for (const rateLimiter of [this.parts.scheduler.rateLimiter, this.parts.scheduler.bisection.quota])
      rateLimiter.slept(forMs);
    this.parts.recoveredRequests.slept(forMs);
    this.parts.outcomes.slept(forMs);
  }

  /** Asked for each request right before it is written. */
  get mayLeave(): boolean {
    if (this.closed || this.parts.clock.monoMs() >= this.leavesUntilMs) return false;
    return this.parts.lease.mayPost();
  }

  /** A failing store must work again before anything leaves. */
  private get mayDepart(): boolean {
    return !this.parked && !this.paused && this.trouble === null;
  }

  private depart(nowMs: number): void {
    this.departing = this.parts.scheduler.nextPosts(nowMs);
    for (const { number, users } of this.departing) {
      this.unsettled.departed(number);
      this.parts.commitBuffer.begin({ post: number, userHashes: users.map(({ user }) => user.hash) });
    }
  }

  private commit(): void {
    const commit = this.parts.commitBuffer.take();
    if (commit === null) {
      this.afterCommit();
      return;
    }
    this.phase = 'committing';
    const outcomes = outcomesOfOthers(this.parts.reports.unreported, this.parts.lease.instance);
    this.parts.store.commit(outcomes.length === 0 ? commit : { ...commit, outcomes }).then(
      () => {
        this.phase = 'idle';
        // What waited for the store may go on.
        if (this.trouble !== null) this.turnMissed = true;
        this.trouble = null;
        this.afterCommit();
      },
      (error: unknown) => {
        this.phase = 'idle';
        this.commitFailed(commit, asQueueError(error));
      },
    );
  }

  private afterCommit(): void {
    this.parts.loader.committed();
    this.parts.changedMembers.committed();
    for (const post of this.departing.splice(0)) this.parts.requestsInFlight.launch(post);
    this.parts.producer.allStored();
    this.parts.reports.reportEnded();
    this.parts.deleter.committed();
    if (!this.closed) {
      this.endLingerOfFull();
      this.parts.loader.requestRows();
    }
    this.goOn();
    this.unsettled.committed();
    this.tellSettled();
  }

  /** What waits for new segments fills the memory, and others wait behind it: that is worse than adds without effect. */
  private endLingerOfFull(): void {
    if (
      !this.parts.warmUps.any ||
      this.parts.pendingUsers.readiness.someReady ||
      !this.parts.readAhead.isFull
    )
      return;
    this.parts.log('warn', tooManyHeldText);
    this.parts.warmUps.clear();
    this.warmUpsChanged();
  }

  /** Nothing of this turn has happened: what departed comes back, what was taken is refused. */
  private commitFailed(commit: Commit, error: QueueError): void {
    const nowMs = this.parts.clock.monoMs();
    this.storeFailed(error);
    this.parts.commitBuffer.putBack(commit);
    for (const post of this.departing.splice(0)) {
      this.unsettled.cancelled(post.number);
      this.parts.scheduler.cancel(post, nowMs);
    }
    this.parts.producer.noneStored(storeEnd(error));
    // What had ended is said again by the next commit, and reported after it.
    this.goOn();
  }

  storeFailed(error: QueueError): void {
    // That another process sends now is no trouble: this engine is about to be closed.
    const isNews = error.code !== 'fenced' && this.trouble?.message !== error.message;
    if (isNews) this.parts.log('error', error.message);
    this.trouble = error;
    this.retryAtMs = this.parts.clock.monoMs() + storeRetryMs;
    this.wakeUp.at(this.nextWakeMs());
  }

  /** Another turn for what came up during the commit. */
  private goOn(): void {
    const more =
      this.turnMissed ||
      this.parts.producer.size > 0 ||
      this.parts.requestsInFlight.size > 0 ||
      this.parts.loader.hasRows;
    this.turnMissed = false;
    if (more) this.ask();
    this.wakeUp.at(this.nextWakeMs());
  }

  /** When the next turn has something to do that no reply, page or input will announce. */
  private nextWakeMs(): number {
    if (!this.opened || this.closed || this.phase !== 'idle') return Infinity;
    const { pendingUsers, recoveredRequests, outcomes } = this.parts;
    const atMs = Math.min(pendingUsers.nextLateMs(), recoveredRequests.nextEndMs, outcomes.ambiguousUntilMs);
    if (this.trouble !== null) return Math.min(atMs, this.retryAtMs);
    if (!this.mayDepart) return atMs;
    const departAtMs = this.parts.scheduler.nextAtMs(this.parts.clock.monoMs());
    return Math.min(atMs, pendingUsers.readiness.nextRetryMs(), this.parts.logins.nextAtMs(), departAtMs);
  }

  // ── What became due ─────────────────────────────────────────────────────────────────────────────────────────

  private takeDue(nowMs: number): void {
    this.parts.logins.expireWaits(nowMs);
    this.parts.warmUps.forgetOver(nowMs);
    if (this.trouble !== null && nowMs >= this.retryAtMs) this.parts.commitBuffer.probe();
    if (this.flushAsked) {
      this.flushAsked = false;
      this.parts.circuitBreaker.openNow();
      this.parts.scheduler.endLinger();
      this.parts.logins.endWaits();
      this.parts.pendingUsers.endWaits(nowMs);
    }
    this.parts.pendingUsers.takeDue(nowMs);
    this.parts.outcomes.endAmbiguous(nowMs);
    this.parts.recoveredRequests.end(nowMs, this.parts.commitBuffer);
  }
}
