// Holds an account's engine from its first user's join until the last one has left.

import type { Recovered } from '../../src/delivery/engine';
import type { Lease } from '../../src/delivery/engines';
import type { AccountUser } from './account-api';
import type { Problem } from './checks';

/** The engine, and whatever else is held with it. */
export interface Hold {
  readonly lease: Lease;
  end(maxMs: number): Promise<void>;
}

/** Requests in flight get so long when nodes close; Node-RED gives a node 15 s in all. */
const closeFlightMs = 5_000;
/** A config node closes as soon as its users *start* to: it waits for the last of them, but not for ever. */
const closeUsersMs = 12_000;

export class Holder {
  private readonly users = new Map<string, AccountUser>();
  /** Of the users that were told of the engine. */
  private readonly leases = new Map<string, Lease>();
  private hold: Promise<Hold | Problem> | null = null;
  private leaving = 0;
  private whenUnused: () => void = () => undefined;

  constructor(
    /** Never rejects. */
    private readonly open: () => Promise<Hold | Problem>,
    /** For what a user does wrong when it is told. */
    private readonly failed: (error: unknown) => void,
  ) {}

  join(node: string, user: AccountUser): void {
    this.users.set(node, user);
    this.hold ??= this.open();
    this.hold
      .then((opened) => {
        // It may have left meanwhile.
        if (this.users.get(node) === user) this.tell(opened, node, user);
      })
      .catch(this.failed);
  }

  async leave(node: string, returns: boolean, untold: readonly Recovered[] = []): Promise<void> {
    const { hold } = this;
    // At once, since the nodes behind it close too.
    this.leases.get(node)?.away(node, untold);
    this.leases.delete(node);
    if (!this.users.delete(node) || hold === null) return;
    const untilMs = performance.now() + closeFlightMs;
    const opened = await hold;
    if (!('key' in opened)) await this.leaveEngine(opened.lease, node, returns);
    if (this.users.size > 0 || this.leaving > 0 || this.hold !== hold) return;
    this.hold = null;
    if (!('key' in opened)) await opened.end(Math.max(0, untilMs - performance.now()));
    this.whenUnused();
  }

  private async leaveEngine(lease: Lease, node: string, returns: boolean): Promise<void> {
    this.leaving += 1;
    await lease.engine.park(closeFlightMs);
    lease.leave(node, returns);
    this.leaving -= 1;
    if (this.users.size > 0 && this.leaving === 0) lease.engine.unpark();
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
    if (this.hold === null) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, closeUsersMs);
      this.whenUnused = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
