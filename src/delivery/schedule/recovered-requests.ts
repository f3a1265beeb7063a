// Recovered in-flight requests of an earlier process. They may still run, so the newest state of their users is
// sent again (promise 2), and they use the quota (promise 3).

import type { Clock } from '../../clock';
import type { RecoveredRecord } from '../../queue/store';
import type { CommitBuffer } from '../commit-buffer';

interface RecoveredRequest {
  readonly post: number;
  readonly userHashes: readonly number[];
  /** Until when it may run, in monotonic ms. */
  untilMs: number;
  /** Whether the store has that time already. */
  readonly isNoted: boolean;
}

export class RecoveredRequests {
  /** In the order of `untilMs`. */
  private requests: RecoveredRequest[] = [];
  /** Until when a request of a user may run, in monotonic ms by the hash of its key. */
  readonly untilByUser = new Map<number, number>();
  /** The users of all requests that were found, also of those that have ended since. */
  userHashes: ReadonlySet<number> = new Set();

  /**
   * @param marginMs how long a request may run after its process is known to be gone
   * @param isShared whether the store's clock is that of a database. The wall clock of a machine may have been set since a
   *   local queue noted a time by it, so each request of a local queue gets the whole margin.
   */
  constructor(
    private readonly clock: Clock,
    private readonly marginMs: number,
    private readonly isShared: boolean,
  ) {}

  /** Call as soon as the store is open: the records tell their times by the wall clock of that moment. */
  found(records: readonly RecoveredRecord[]): void {
    const nowMs = this.clock.monoMs();
    const aheadMs = nowMs - this.clock.wallMs();
    const latestMs = nowMs + this.marginMs;
    this.requests = records
      .map(({ post, userHashes, untilWallMs }) => {
        const notedMs = this.isShared && untilWallMs !== null ? untilWallMs + aheadMs : Infinity;
        return { post, userHashes, untilMs: Math.min(notedMs, latestMs), isNoted: notedMs <= latestMs };
      })
      .sort((a, b) => a.untilMs - b.untilMs);
    this.userHashes = new Set(records.flatMap(({ userHashes }) => userHashes));
    this.listUsers();
  }

  /** The number of users of each request, and until when it may run (monotonic ms), in the order of that time. */
  quota(): { readonly users: number; readonly untilMs: number }[] {
    return this.requests.map(({ userHashes, untilMs }) => ({ users: userHashes.length, untilMs }));
  }

  /** Records until when the requests may run, so that further takeovers do not extend it. */
  note(commitBuffer: CommitBuffer): void {
    if (!this.isShared) return;
    const aheadMs = this.clock.wallMs() - this.clock.monoMs();
    for (const { post, untilMs, isNoted } of this.requests)
      if (!isNoted) commitBuffer.unknown(post, untilMs + aheadMs);
  }

  /** Monotonic ms at which the next one can no longer run, or Infinity. */
  get nextEndMs(): number {
    return this.requests[0]?.untilMs ?? Infinity;
  }

  /** The machine slept for `forMs`: the requests may run that much longer. */
  slept(forMs: number): void {
    for (const request of this.requests) request.untilMs += forMs;
    this.listUsers();
  }

  /** Settles the records of requests that can no longer run. */
  end(nowMs: number, commitBuffer: CommitBuffer): void {
    if (this.nextEndMs > nowMs) return;
    while (this.nextEndMs <= nowMs) commitBuffer.settle(this.requests.shift()!.post);
    this.listUsers();
  }

  private listUsers(): void {
    this.untilByUser.clear();
    for (const { userHashes, untilMs } of this.requests)
      for (const hash of userHashes) this.untilByUser.set(hash, untilMs);
  }
}
