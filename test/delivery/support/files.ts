// Queue files of one machine on the tests' clock: real SQLite, which outlives engines and processes.
import type { QueueStore } from '../../../src/queue/store';
import { Dice } from '../../simulation/world/dice';
import { Disk } from '../../simulation/world/disk';
import type { ProcessTime } from '../../simulation/world/process-time';

export class Files {
  readonly #disk: Disk;

  constructor(private readonly time: ProcessTime) {
    this.#disk = new Disk(time.world, new Dice('files'), 0, null);
  }

  /** Each call creates its own handle. The file is locked while one is open. */
  store(name: string, time = this.time): QueueStore {
    return this.#disk.store(name, { time, diesAt: () => false, busy: () => undefined });
  }

  /** The processes that had them open have died. */
  unlock(): void {
    this.#disk.unlock();
  }
}
