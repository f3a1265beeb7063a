// A machine's disk with real SQLite files, opened as the package opens them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { QueueStore } from '../../../src/queue/store';
import { SqliteStore } from '../../../src/queue/sqlite/sqlite-store';
import type { Dice } from '../world/dice';
import { Disk, type DiskUser } from '../world/disk';
import type { WorldTime } from '../world/virtual-time';
import { ofProcess } from './of-process';

export class RealDisk extends Disk {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'simulation-'));
  readonly #open = new Set<QueueStore>();

  constructor(
    world: WorldTime,
    dice: Dice,
    private readonly isEncrypted: boolean,
  ) {
    super(world, dice, 0, null);
  }

  override store(name: string, user: DiskUser): QueueStore {
    const cipher = { isOn: this.isEncrypted, secrets: ['secret'] };
    const store = new SqliteStore(path.join(this.#folder, `${name}.sqlite`), { cipher });
    this.#open.add(store);
    return ofProcess(store, user.time);
  }

  /** Pending calls are carried out without a receiver; then the file is free. */
  override unlock(): void {
    for (const store of this.#open) void store.close();
    this.#open.clear();
  }

  override remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
