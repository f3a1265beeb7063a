// A world with a synced segment.
import type { CheckedEntry } from '../../../src/entry/entry';
import type { MemberSync } from '../../../src/delivery/sync/member-sync';
import { device, entryOf, World, type WorldOptions } from './world';

export const segment = 'i7';
export const source = { node: 'n', account: 'a' };

export class SyncedWorld extends World {
  constructor(options: Partial<WorldOptions> = {}) {
    super({ seed: 1, syncs: true, delayMs: () => 5, ...options });
  }

  get sync(): MemberSync {
    return this.engine.sync!;
  }

  /** Opens the queue, keeps the segment, and lets the first second pass. */
  async ready(): Promise<this> {
    const kept = this.sync.keep(segment);
    await this.clock.advance(1_500);
    await kept;
    return this;
  }

  /** The rows of the table: `state value expiration` by the number of the device. */
  members(): Record<number, string> {
    const rows = this.disk.file('queue').sync.membersOf(segment);
    return Object.fromEntries(
      [...rows].map(([key, { state, value, expiration }]) => [
        Number.parseInt(key.slice('idfa:'.length), 16) - 1,
        [state, value, expiration].join(' '),
      ]),
    );
  }

  async append(
    entries: readonly CheckedEntry[],
    { refresh = false, state = null as string | null, readSince = 0 } = {},
  ): Promise<void> {
    const appended = this.sync.append({ source, segment, entries, refresh, state, readSince });
    const progress = { isOver: false };
    const over = (): void => void (progress.isOver = true);
    appended.then(over, over);
    while (!progress.isOver) await this.clock.advance(1);
    await appended;
  }
}

export function add(number: number, value = 1, expiration: number | null = 60): CheckedEntry {
  return entryOf(device(number), [{ seg_id: 7, value, ...(expiration !== null && { expiration }) }]);
}
