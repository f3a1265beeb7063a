// Wake-up: one timer for the earliest requested time, which stands still while the machine sleeps.

import type { Clock } from '../../clock';

export class WakeUp {
  private atMs = Infinity;
  private cancelTimer: (() => void) | null = null;
  /** `Clock.sleptMs` when it was asked last. */
  private noticedMs: number;

  constructor(
    private readonly clock: Pick<Clock, 'monoMs' | 'after' | 'sleptMs'>,
    private readonly call: () => void,
  ) {
    this.noticedMs = clock.sleptMs();
  }

  /** How long the machine has slept since the last call; cancels the timer if it has. */
  sleptMs(): number {
    const forMs = this.clock.sleptMs() - this.noticedMs;
    this.noticedMs += forMs;
    if (forMs !== 0) this.cancel();
    return forMs;
  }

  /**
   * Requests a wake-up at `atMs` (monotonic; Infinity for never). A later time than the current one changes
   * nothing.
   */
  at(atMs: number): void {
    if (atMs >= this.atMs && this.cancelTimer !== null) return;
    this.cancel();
    this.atMs = atMs;
    if (atMs === Infinity) return;
    this.cancelTimer = this.clock.after(Math.max(0, Math.ceil(atMs - this.clock.monoMs())), () => {
      this.cancelTimer = null;
      this.atMs = Infinity;
      this.call();
    });
  }

  cancel(): void {
    this.cancelTimer?.();
    this.cancelTimer = null;
  }
}
