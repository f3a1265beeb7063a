// Holder of an account's engine, from the first user's join until the last user leaves.

import { systemClock, within, type Clock } from '../../src/clock';
import type { Recovered, Lease } from '../../src/delivery/index';
import type { AccountUser, Problem } from './account-api';

/** The engine and the other resources of an account. */
export interface Hold {
  readonly lease: Lease;
  /** Called once. */
  end(maxMs: number): Promise<void>;
}

/** Requests in flight get so long when nodes close; Node-RED gives a node 15 s in all. */
const closeFlightMs = 5_000;
/** A config node closes as soon as its users *start* to close: it waits for the last of them, but not forever. */
const closeUsersMs = 12_000;

export class Holder {
  private readonly users = new Map<string, AccountUser>();
  /** Users that have received the engine. */
  private readonly leases = new Map<string, Lease>();
  private hold: Promise<Hold | Problem | null> | null = null;
  /** The requests in flight of the former hold. */
  private ending: Promise<void> = Promise.resolve();
  private leaving = 0;
  /** The problem at the last attempt. */
  problem: Problem | null = null;
  private whenUnused: () => void = () => undefined;

  constructor(
    /** Never rejects. Null when nobody wants it any more by the time it could be held. */
    private readonly open: (isWanted: () => boolean) => Promise<Hold | Problem | null>,
    /** For what a user does wrong when it is told. */
    private readonly failed: (error: unknown) => void,
    private readonly clock: Clock = systemClock,
  ) {}

  join(node: string, user: AccountUser): void {
    this.users.set(node, user);
    this.hold ??= this.openNow();
    this.tellOf(this.hold, node, user);
  }

  /** Tries again after a problem; its users are then notified again. */
  async openAgain(): Promise<void> {
    const { hold } = this;
    const opened = await hold;
    if (this.users.size === 0 || this.hold !== hold || !opened || !('key' in opened)) return;
    this.hold = this.openNow();
    for (const [node, user] of this.users) this.tellOf(this.hold, node, user);
  }

  private openNow(): Promise<Hold | Problem | null> {
    return this.open(() => this.users.size > 0).then((opened) => {
      this.problem = opened !== null && 'key' in opened ? opened : null;
      return opened;
    });
  }

  private tellOf(hold: Promise<Hold | Problem | null>, node: string, user: AccountUser): void {
    hold
      .then((opened) => {
        // The user may have left in the meantime.
        if (this.users.get(node) !== user) return;
        if (opened !== null) {
          this.tell(opened, node, user);
          return;
        }
        // It joined when the last one had left and nothing was opened.
        if (this.hold === hold) this.hold = null;
        this.hold ??= this.openNow();
        this.tellOf(this.hold, node, user);
      })
      .catch(this.failed);
  }

  async leave(node: string, returns: boolean, unreported: readonly Recovered[] = []): Promise<void> {
    const { hold } = this;
    // At once, since the nodes behind it close too.
    this.leases.get(node)?.away(node, unreported);
    this.leases.delete(node);
    if (!this.users.delete(node) || hold === null) return;
    this.leaving += 1;
    const opened = await hold;
    const held = opened === null || 'key' in opened ? null : opened;
    if (this.users.size === 0 && this.hold === hold) {
      // Who joins from here on opens another.
      this.hold = null;
      this.ending = held?.end(closeFlightMs) ?? this.ending;
    }
    if (held !== null) {
      await (this.users.size === 0 ? this.ending : held.lease.engine.settled(closeFlightMs));
      held.lease.leave(node, returns);
    }
    this.leaving -= 1;
    if (!this.isUsed) this.whenUnused();
  }

  get isUsed(): boolean {
    return this.users.size > 0 || this.leaving > 0;
  }

  private tell(opened: Hold | Problem, node: string, user: AccountUser): void {
    if ('key' in opened) {
      user.ready(opened);
      return;
    }
    this.leases.set(node, opened.lease);
    user.ready(opened.lease.engine);
    opened.lease.listen(node, (recovered) => user.recovered(recovered));
  }

  async close(): Promise<void> {
    if (!this.isUsed) return;
    // At the end of the turn: users that close in the same deploy have left by then.
    this.clock.endOfTurn(() => {
      for (const user of [...this.users.values()]) user.closes();
    });
    const unused = new Promise<void>((resolve) => (this.whenUnused = resolve));
    await within(this.clock, closeUsersMs, unused);
  }
}
