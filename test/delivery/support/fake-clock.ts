// Virtual time that a test moves on by hand: nothing happens until then.
import { ProcessTime } from '../../simulation/world/process-time';
import { VirtualTime } from '../../simulation/world/virtual-time';

/** Of a process that does not end; others of the same world are made with `process`. */
export class FakeClock extends ProcessTime {
  constructor(override readonly world = new VirtualTime()) {
    super(world, { offsetMs: 0 });
  }

  /** Another one's time, which ends with that. */
  process(): ProcessTime {
    return new ProcessTime(this.world, this.wall);
  }

  /** The wall clock is set by an operator or NTP. */
  jumpWall(byMs: number): void {
    this.wall.offsetMs += byMs;
  }

  /** Runs everything that is due now, promises included. */
  settle(): Promise<void> {
    return this.advance(0);
  }

  /** What work comes to that needs no more than the next moment. */
  async outcome<T>(work: Promise<T>): Promise<T> {
    await this.settle();
    return work;
  }

  /** Moves on by `ms`, running what becomes due on the way, in order. */
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
