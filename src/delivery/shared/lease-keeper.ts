// Holds the lease of a shared log, or waits for it: reports regularly that this process is alive, and notices when it gains
// or loses the lease.
//
// The database's clock decides who holds the lease. This machine's clocks decide whether a post may still leave: they count
// from before the last renewal was requested. So after a sleep of the process or the machine the lease counts as over, before
// the database has answered. Both clocks are checked: the monotonic one, and the wall clock, which also counts a short sleep.

import type { Claim, Instance, SharedLog } from '../../queue/shared-log';
import type { Clock } from '../../clock';

interface LeaseEvents {
  /** The log answered. */
  /** `askedMs`: when it was sent (monotonic). */
  claimed(claim: Claim, askedMs: number): void;
  /** This process sends now. */
  gained(claim: Claim): void;
  /** Another one may. */
  lost(): void;
  /** The log did not answer. */
  unreachable(error: unknown): void;
}

export interface LeaseOptions {
  readonly log: SharedLog;
  readonly instance: Instance;
  readonly clock: Clock;
  readonly events: LeaseEvents;
}

/** How long the lease lasts without renewal. */
export const leaseMs = 2_000;
/** Shares of a lease after which its holder renews it, and others look at it. A database may stall for the rest of it. */
const renewAfterShare = 3 / 8;
const lookAfterShare = 1 / 4;
/** Others look this long after the lease runs out. */
const afterExpiryMs = 5;
/** A post that leaves is on its way for a moment before the service acts. */
const postMarginMs = 250;
const retryMs = 500;

export class LeaseKeeper {
  /** Under which the lease is held. */
  private fencingToken: number | null = null;
  /** Until when nobody else can have it, by each clock. */
  private validUntil = { monoMs: -Infinity, wallMs: -Infinity };
  /** The last lease that was released: an answer to an earlier renewal may still name it. */
  private releasedToken: number | null = null;
  private wants = false;
  /** What `setWants` said last, whoever has stepped aside since. */
  private asked = false;
  private closed = false;
  private claiming: Promise<void> | null = null;
  private askedAgain = false;
  private cancelTimer: (() => void) | null = null;
  /** While it steps aside. */
  private cancelReturn: (() => void) | null = null;

  constructor(private readonly options: LeaseOptions) {}

  get isAside(): boolean {
    return this.cancelReturn !== null;
  }

  /** Whether a post that was built under the lease with this fencing token may leave now. */
  mayPost(fencingToken: number): boolean {
    const { clock } = this.options;
    const { monoMs, wallMs } = this.validUntil;
    const leftMs = Math.min(monoMs - clock.monoMs(), wallMs - clock.wallMs());
    return this.fencingToken === fencingToken && leftMs > postMarginMs;
  }

  start(): void {
    this.setWants(true);
  }

  /** Whether to take the lease when it is free; one that is held stays until `release`. */
  setWants(wants: boolean): void {
    this.asked = wants;
    if (this.wants === wants) return;
    this.wants = wants;
    this.claim();
  }

  /** Asks now, or once more when asking. */
  claim(): void {
    this.cancelTimer?.();
    this.cancelTimer = null;
    if (this.closed) return;
    if (this.claiming !== null) {
      this.askedAgain = true;
      return;
    }
    this.claiming = this.claimOnce().finally(() => {
      this.claiming = null;
      if (this.askedAgain) {
        this.askedAgain = false;
        this.claim();
      }
    });
  }

  /** Resolves when a claim that begins after this call has ended, answered or not. */
  async refresh(): Promise<void> {
    await this.claiming;
    this.claim();
    await this.claiming;
  }

  private async claimOnce(): Promise<void> {
    const { log, instance, clock, events } = this.options;
    const askedMs = clock.monoMs();
    const until = { monoMs: askedMs + leaseMs, wallMs: clock.wallMs() + leaseMs };
    let nextMs = retryMs;
    try {
      const claim = await log.claim(
        instance,
        this.wants || this.fencingToken !== null,
        this.fencingToken,
        leaseMs,
      );
      if (this.closed) return;
      this.took(claim, until);
      events.claimed(claim, askedMs);
      nextMs = leaseMs * (claim.ours ? renewAfterShare : lookAfterShare);
      // A holder that no longer renews loses the lease the moment it runs out.
      if (!claim.ours && claim.holder !== null) nextMs = Math.min(nextMs, claim.leftMs + afterExpiryMs);
    } catch (error) {
      if (this.closed) return;
      events.unreachable(error);
    }
    this.cancelTimer?.();
    this.cancelTimer = clock.after(nextMs, () => this.claim());
  }

  private took(claim: Claim, until: typeof this.validUntil): void {
    const { events } = this.options;
    const { ours, fencingToken } = claim;
    if (this.fencingToken !== null && (!ours || fencingToken !== this.fencingToken)) {
      this.fencingToken = null;
      events.lost();
    }
    if (!ours || fencingToken === this.releasedToken) return;
    this.validUntil = until;
    if (this.fencingToken !== null) return;
    // Released while the claim was on its way: given back.
    if (!this.wants) {
      void this.giveBack(fencingToken);
      return;
    }
    this.fencingToken = fencingToken;
    events.gained(claim);
  }

  /** Gives the lease up, for another to have at once. Does not ask for it again until `setWants(true)`. */
  async release(): Promise<void> {
    this.wants = false;
    const { fencingToken } = this;
    if (fencingToken === null) return;
    this.fencingToken = null;
    this.releasedToken = fencingToken;
    this.options.events.lost();
    await this.giveBack(fencingToken);
  }

  /** Another may have the lease for so long, or until `comeBack`. */
  stepAside(forMs: number): void {
    void this.release();
    this.cancelReturn = this.options.clock.after(forMs, () => this.comeBack());
  }

  comeBack(): void {
    if (this.cancelReturn === null) return;
    this.cancelReturn();
    this.cancelReturn = null;
    this.setWants(this.asked);
  }

  /** It runs out by itself should that fail. */
  private async giveBack(fencingToken: number): Promise<void> {
    const { log, instance } = this.options;
    await log.release(instance, fencingToken).catch(() => undefined);
  }

  /** Leaves no timer. Call `release` before. */
  close(): void {
    this.closed = true;
    this.cancelTimer?.();
    this.cancelTimer = null;
    this.cancelReturn?.();
  }
}
