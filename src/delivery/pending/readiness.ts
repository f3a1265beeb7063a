// Readiness: which users can be sent now, in the ready queue of the account that sends them. The others wait for their
// older rows, a backoff or a warm-up.

import type { Logins } from '../schedule/login';
import { ReadyUsers } from '../schedule/ready';
import { DueHeap } from './heap';
import type { OlderRows } from './older-rows';
import type { User } from './user';
import type { Held } from './waiting-blocks';
import type { WarmUps } from './warm-ups';

export class Readiness {
  readonly ready = new ReadyUsers();
  private readonly delayed = new DueHeap<User>();

  constructor(
    private readonly logins: Logins,
    private readonly warmUps: WarmUps,
    private readonly older: OlderRows,
  ) {}

  /**
   * Puts the user into the ready queue, or lets it wait for its backoff or for a warm-up. Skips users in flight
   * or in a bisection.
   */
  enqueue(user: User, nowMs: number): void {
    if (user.flight !== null || user.inBisection || !user.waits) return;
    if (this.older.holds(user)) {
      this.ready.forget(user);
      return;
    }
    const atMs = Math.max(user.trouble?.notBeforeMs ?? 0, this.oldEnoughAtMs(user, nowMs));
    if (atMs > nowMs) {
      this.delay(user, atMs);
      return;
    }
    this.ready.put(user, this.accountOf(user, nowMs));
  }

  private delay(user: User, atMs: number): void {
    this.ready.forget(user);
    const trouble = user.troubled();
    if (trouble.delayedUntilMs !== atMs) this.delayed.push(atMs, user);
    trouble.delayedUntilMs = atMs;
  }

  /** When the first block of the user is no longer in a warm-up. */
  private oldEnoughAtMs(user: User, nowMs: number): number {
    return this.warmUps.any ? user.freeAtMs((block) => this.warmUps.untilMs(block, nowMs)) : -Infinity;
  }

  /** Tells which blocks wait for the warm-up of their segment; undefined when there are no warm-ups. */
  heldNow(nowMs: number): Held | undefined {
    return this.warmUps.any ? (block) => this.warmUps.untilMs(block, nowMs) > nowMs : undefined;
  }

  /**
   * Account for the user's next request: the first one that can send now, of those whose blocks may go next.
   */
  private accountOf(user: User, nowMs: number): string {
    const { onlyAccount } = user;
    if (onlyAccount !== null) return this.logins.serving(onlyAccount) ?? onlyAccount;
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

  /** Whether any user is ready that is not in a bisection. */
  get someReady(): boolean {
    for (const account of this.ready.accounts()) if (this.ready.size(account) > 0) return true;
    return false;
  }

  /** Enqueues users whose wait is over. */
  takeDue(nowMs: number): void {
    for (let user = this.delayed.popDue(nowMs); user !== null; user = this.delayed.popDue(nowMs)) {
      user.troubled().delayedUntilMs = 0;
      this.enqueue(user, nowMs);
    }
  }

  /** Monotonic ms when the next backoff ends, or Infinity. */
  nextRetryMs(): number {
    return this.delayed.nextAtMs();
  }
}
