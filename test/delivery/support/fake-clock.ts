// Fake clock: virtual time that a test advances by hand; nothing happens in between.
import { ProcessTime } from '../../simulation/world/process-time';
import { VirtualTime } from '../../simulation/world/virtual-time';

/** The clock of a process that does not end; `process` creates others of the same world. */
export class FakeClock extends ProcessTime {
  constructor(override readonly world = new VirtualTime()) {
    super(world, { offsetMs: 0 });
  }

  /** The clock of another process, which ends with that process. */
  process(): ProcessTime {
    return new ProcessTime(this.world, this.wall);
  }

  /** The wall clock is set by an operator or NTP. */
  jumpWall(byMs: number): void {
    this.wall.offsetMs += byMs;
  }

  /** Runs everything that is due now, including promises. */
  settle(): Promise<void> {
    return this.advance(0);
  }

  /** Result of work that needs no more than the next moment. */
  async outcome<T>(work: Promise<T>): Promise<T> {
    await this.settle();
    return work;
  }

  /** Advances by `ms`, running everything that becomes due, in order. */
  advance(ms: number): Promise<void> {
    // In a turn of its own, where promises can be made to settle.
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          this.world.run(this.world.nowMs + ms);
          if (this.world.thrown.length > 0) throw this.world.thrown.shift();
          resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }
}
