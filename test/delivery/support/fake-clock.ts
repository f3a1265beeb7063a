// A clock that tests own: nothing happens until it is advanced.
import type { Clock } from '../../../src/delivery/clock';
import { MachineClock } from '../../../src/machine-clock';

interface Timer {
  atMs: number;
  order: number;
  call: (() => void) | null;
}

export class FakeClock implements Clock {
  private nowMs = 1_000;
  private wallOffsetMs = 1_700_000_000_000;
  private timers: Timer[] = [];
  private turn: (() => void)[] = [];
  private order = 0;
  /** How long the machine slept, in all. */
  suspendedMs = 0;

  /** As it passes outside of all machines. */
  monoMs(): number {
    return this.nowMs;
  }

  sleptMs(): number {
    return 0;
  }

  /** What `performance.now()` says on a machine that was asleep for so long in all. */
  awakeMs(): number {
    return this.nowMs - this.suspendedMs;
  }

  wallMs(): number {
    return Math.round(this.wallOffsetMs + this.nowMs);
  }

  /** The wall clock is set by an operator or NTP. */
  jumpWall(byMs: number): void {
    this.wallOffsetMs += byMs;
  }

  after(delayMs: number, call: () => void): () => void {
    const timer: Timer = { atMs: this.nowMs + Math.max(0, delayMs), order: this.order++, call };
    this.timers.push(timer);
    return () => {
      timer.call = null;
    };
  }

  endOfTurn(call: () => void): void {
    this.turn.push(call);
  }

  /** Runs everything that is due now, promises included. */
  async settle(): Promise<void> {
    let quiet = 0;
    while (quiet < 2) {
      await flushMicrotasks();
      const calls = this.turn.splice(0);
      quiet = calls.length === 0 ? quiet + 1 : 0;
      for (const call of calls) call();
    }
  }

  /** Moves on by `ms`, running what becomes due on the way, in order. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await this.settle();
    let atOnce = 0;
    for (;;) {
      this.timers = this.timers.filter((timer) => timer.call !== null);
      let next: Timer | undefined;
      for (const timer of this.timers) {
        if (
          next === undefined ||
          timer.atMs < next.atMs ||
          (timer.atMs === next.atMs && timer.order < next.order)
        ) {
          next = timer;
        }
      }
      if (next === undefined || next.atMs > untilMs) break;
      atOnce = next.atMs > this.nowMs ? 0 : atOnce + 1;
      if (atOnce > 500) throw new Error('timers spin: 500 in a row without time passing');
      this.nowMs = Math.max(this.nowMs, next.atMs);
      const call = next.call;
      next.call = null;
      call?.();
      await this.settle();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
    await this.settle();
  }

  /** The machine sleeps: time passes, and neither its timers nor what it has on the wire go on. */
  suspend(ms: number): void {
    this.nowMs += ms;
    this.suspendedMs += ms;
    for (const timer of this.timers) timer.atMs += ms;
  }

  /** The event loop is held: time passes, nothing runs. */
  stall(ms: number): void {
    this.nowMs += ms;
  }
}

async function flushMicrotasks(): Promise<void> {
  for (let i = 0; i < 12; i += 1) await Promise.resolve();
}

/** The clock as one process sees it: after kill -9 nothing of that process runs any more. */
export class ProcessClock implements Clock {
  private alive = true;
  private readonly pending = new Set<() => void>();
  private readonly machine: MachineClock;

  constructor(private readonly clock: FakeClock) {
    this.machine = new MachineClock({
      monoMs: () => clock.awakeMs(),
      wallMs: () => clock.wallMs(),
      uptimeMs: () => clock.monoMs(),
    });
  }

  monoMs(): number {
    return this.machine.monoMs();
  }

  sleptMs(): number {
    return this.machine.sleptMs();
  }

  wallMs(): number {
    return this.clock.wallMs();
  }

  after(delayMs: number, call: () => void): () => void {
    if (!this.alive) return () => undefined;
    const cancel = this.clock.after(delayMs, () => {
      this.pending.delete(cancel);
      call();
    });
    this.pending.add(cancel);
    return () => {
      this.pending.delete(cancel);
      cancel();
    };
  }

  endOfTurn(call: () => void): void {
    this.clock.endOfTurn(() => {
      if (this.alive) call();
    });
  }

  /** Timers that this process has set and that have not fired. */
  get timers(): number {
    return this.pending.size;
  }

  die(): void {
    this.alive = false;
    for (const cancel of this.pending) cancel();
    this.pending.clear();
  }
}
