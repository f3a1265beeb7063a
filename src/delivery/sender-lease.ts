// The lease under which a sender works.

import type { Submission } from './submission';
import type { Outcome } from './respond/reports';

export interface SenderLease {
  /** Of a shared queue: the instance that this process is. */
  readonly instance: string | undefined;
  /**
   * Entries that this process took have ended, durably. Of a shared queue the commit has stored those of other instances
   * (`Commit.outcomes`).
   */
  readonly report: (outcomes: readonly Outcome[]) => void;
  /** The queue is open, and what waits in it known. */
  readonly opened: () => void;
  readonly mayPost: () => boolean;
  /** Takes what the sync of segments appends. */
  readonly submit: (submission: Submission) => void;
}
