// A machine's disk with real SQLite files, opened as the package opens them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Outbox } from '../../../src/outbox/outbox';
import { SqliteOutbox } from '../../../src/outbox/sqlite-outbox';
import type { Dice } from '../world/dice';
import { Disk, type DiskUser } from '../world/disk';
import type { WorldTime } from '../world/virtual-time';
import { ofProcess } from './of-process';

export class RealDisk extends Disk {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'simulation-'));
  readonly #open = new Set<Outbox>();

  constructor(
    world: WorldTime,
    dice: Dice,
    private readonly isEncrypted: boolean,
  ) {
    super(world, dice, 0, null);
  }

  override outbox(name: string, user: DiskUser): Outbox {
    const seal = { isOn: this.isEncrypted, secrets: ['secret'] };
    const outbox = new SqliteOutbox(path.join(this.#folder, `${name}.sqlite`), { seal });
    this.#open.add(outbox);
    return ofProcess(outbox, user.time);
  }

  /** What was on its way is carried out, and nobody hears of it; then the file is free. */
  override unlock(): void {
    for (const outbox of this.#open) void outbox.close();
    this.#open.clear();
  }

  override remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
