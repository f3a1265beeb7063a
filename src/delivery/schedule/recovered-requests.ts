// Recovered in-flight requests of an earlier process. They may still run, so the newest state of their users is
// sent again (promise 2).

import type { CommitBuffer } from '../commit-buffer';
import type { RecoveredRecord } from '../../queue/store';

export class RecoveredRequests {
  readonly users = new Set<number>();
  untilMs = Infinity;
  private posts: number[] = [];

  found(flights: readonly RecoveredRecord[], untilMs: number): void {
    if (flights.length > 0) this.untilMs = untilMs;
    for (const { post, userHashes } of flights) {
      this.posts.push(post);
      for (const hash of userHashes) this.users.add(hash);
    }
  }

  /** The machine slept for `forMs`: the requests may run that much longer. */
  slept(forMs: number): void {
    this.untilMs += forMs;
  }

  /** None of them can run any more: settles their records. */
  end(commitBuffer: CommitBuffer): void {
    for (const post of this.posts.splice(0)) commitBuffer.settle(post);
    this.users.clear();
    this.untilMs = Infinity;
  }
}
