// Time of one process. The process can be frozen, its machine can be suspended (its timers stop then), its wall
// clock can be set, and it can die: then none of its code runs any more.
import type { Clock } from '../../../src/clock';
import type { WorldTime } from './virtual-time';

export const epochMs = 1_700_000_000_000;

export class ProcessTime implements Clock {
  /** Timers that were set and have not fired. */
  timers = 0;
  /** Largest number of timers at one time. */
  mostTimers = 0;
  #alive = true;
  #asleep: 'no' | 'frozen' | 'suspended' = 'no';
  #sinceMs = 0;
  #suspendedMs = 0;
  /** Calls that arrived while it was asleep. */
  #late: (() => void)[] = [];
  readonly #whenDead = new Set<() => void>();

  constructor(
    readonly world: WorldTime,
    /** The wall clock, which outlives the process. */
    readonly wall: { offsetMs: number },
    /** Duration of a turn of the event loop. */
    private readonly turnMs: () => number = () => 0,
  ) {}

  get alive(): boolean {
    return this.#alive;
  }

  get asleep(): boolean {
    return this.#asleep !== 'no';
  }

  monoMs(): number {
    return 1_000 + this.world.nowMs;
  }

  /** Time in suspension. */
  sleptMs(): number {
    return this.#sleptMs();
  }

  #sleptMs(): number {
    return this.#suspendedMs + (this.#asleep === 'suspended' ? this.world.nowMs - this.#sinceMs : 0);
  }

  /** The time that timers count. */
  ranMs(): number {
    return this.world.nowMs - this.#sleptMs();
  }

  wallMs(): number {
    return Math.round(epochMs + this.world.nowMs + this.wall.offsetMs);
  }

  after(delayMs: number, call: () => void): () => void {
    if (!this.#alive) return () => undefined;
    const dueMs = this.ranMs() + Math.max(0, delayMs);
    let isSet = true;
    this.timers += 1;
    this.mostTimers = Math.max(this.mostTimers, this.timers);
    const unset = (): void => {
      if (isSet) this.timers -= 1;
      isSet = false;
    };
    const ring = (): void => {
      if (!isSet || !this.#alive) return;
      const leftMs = dueMs - this.ranMs();
      if (leftMs > 1e-6) this.world.after(leftMs, () => this.run(ring));
      else {
        unset();
        call();
      }
    };
    this.world.after(delayMs, () => this.run(ring));
    return unset;
  }

  endOfTurn(call: () => void): void {
    this.world.after(this.turnMs(), () => this.run(call));
  }

  /** A call from outside: runs at once, when the process wakes, or never. */
  run(call: () => void): void {
    if (!this.#alive) return;
    if (this.asleep) this.#late.push(call);
    else call();
  }

  sleep(how: 'frozen' | 'suspended'): void {
    if (this.asleep || !this.#alive) return;
    this.#asleep = how;
    this.#sinceMs = this.world.nowMs;
  }

  wake(): void {
    if (!this.asleep) return;
    if (this.#asleep === 'suspended') this.#suspendedMs += this.world.nowMs - this.#sinceMs;
    this.#asleep = 'no';
    for (const call of this.#late.splice(0)) this.world.after(0, () => this.run(call));
  }

  /** Calls when the process dies, unless it is cancelled before. */
  whenDead(call: () => void): () => void {
    this.#whenDead.add(call);
    return () => void this.#whenDead.delete(call);
  }

  die(): void {
    this.#alive = false;
    for (const call of this.#whenDead) call();
    this.#whenDead.clear();
    this.#late = [];
    this.timers = 0;
  }
}
