// Wake-up: one timer for the earliest requested time.

import type { Clock } from '../../clock';

export class WakeUp {
  private atMs = Infinity;
  private cancelTimer: (() => void) | null = null;

  constructor(
    private readonly clock: Pick<Clock, 'monoMs' | 'after'>,
    private readonly call: () => void,
  ) {}

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
