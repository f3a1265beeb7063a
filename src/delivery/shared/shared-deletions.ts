// Purges and erasures of a shared queue. Any instance asks for them by a row in the database; the active one carries them
// out in the queue, and each instance in what its own buffer keeps.

import type {
  SharedDeletion,
  SharedDeletionRequest,
  SharedDeletionResult,
  Instance,
  SharedLog,
} from '../../queue/shared-log';
import type { Common } from '../engine-options';
import { DeletedPartly, type Erased } from '../respond/deletions';
import { asQueueError } from '../respond/not-accepted';
import type { SharedProducer } from './shared-producer';

export interface SharedDeletionsParts {
  readonly common: Common;
  readonly log: SharedLog;
  readonly instance: Instance;
  readonly producer: SharedProducer;
  /** Has the lease claimed now, which tells of changes. */
  readonly claim: () => void;
  /** The number of the last row. Rejects with a QueueError while the log cannot be reached. */
  readonly newestSeq: () => Promise<number>;
}

type User = SharedDeletionRequest['user'];

/** Deletes from the queue what a row asks for. Rejects when this instance is not the active one any more. */
export type Carrier = (deletion: SharedDeletion) => Promise<SharedDeletionResult>;

interface Asked {
  readonly resolve: (deleted: Erased) => void;
  readonly reject: (error: Error) => void;
  readonly cancel: () => void;
}

/** An active instance may have to be found first, and a purge takes as long as there are entries to read. */
const answerWithinMs = 120_000;

export class SharedDeletions {
  /** `Control.deletions` when they were read last, -1 when they are to be read again. */
  private version = -1;
  /** What was asked for up to this id is none of this instance's buffer: that was asked for before it started, or is done. */
  private keptThrough: number | null = null;
  private reading = false;
  private readonly asked = new Map<number, Asked>();
  private active: { readonly fencingToken: number; readonly carry: Carrier } | null = null;
  /** By id, what the active instance has carried out or is about to; null until that is known. */
  private readonly carried = new Map<number, SharedDeletionResult | null>();

  constructor(private readonly parts: SharedDeletionsParts) {}

  /** The version that a claim has found. */
  claimed(version: number): void {
    this.keptThrough ??= version;
    if (version !== this.version && !this.reading) void this.read(version);
  }

  /** This instance is the active one from now on, whose queue is open. */
  activated(fencingToken: number, carry: Carrier): void {
    this.active = { fencingToken, carry };
    this.carried.clear();
    this.readAgain();
  }

  deactivated(): void {
    this.active = null;
  }

  /**
   * Deletes what waits in the log and what this machine keeps. The others delete what they keep, which is not counted, as
   * soon as they read the row. Rejects with DeletedPartly.
   */
  async delete(user: User): Promise<Erased> {
    // Here first: what is handed over meanwhile is in the log when it is asked how far that goes.
    const [here] = await Promise.allSettled([this.deleteKept(user)]);
    const [there] = await Promise.allSettled([this.deleteThere(user)]);
    this.forget(user);
    if (there.status === 'rejected') {
      const deleted = { entries: here.status === 'fulfilled' ? here.value : 0, inFlight: 0 };
      throw new DeletedPartly(deleted, 'database', asQueueError(there.reason));
    }
    if (here.status === 'rejected') throw new DeletedPartly(there.value, 'kept', asQueueError(here.reason));
    return { ...there.value, entries: here.value + there.value.entries };
  }

  private deleteKept(user: User, takenUntilMs?: number): Promise<number> {
    this.forget(user);
    return this.parts.producer.deleteKept(user?.keys ?? null, takenUntilMs);
  }

  private forget(user: User): void {
    if (user !== null) this.parts.common.monitor.forget(user.keys, user.id);
  }

  /** Resolves when it is carried out. Rejects when the database cannot be reached, and when nobody carries it out. */
  private async deleteThere(user: User): Promise<Erased> {
    const { log, common, newestSeq } = this.parts;
    const throughSeq = await newestSeq();
    const id = await log.requestDeletion({ throughSeq, askedMs: log.nowMs(), user });
    return new Promise((resolve, reject) => {
      const cancel = common.settings.clock.after(answerWithinMs, () => {
        this.asked.delete(id);
        reject(new Error('No Node-RED instance of this queue has answered; try again later.'));
      });
      this.asked.set(id, { resolve, reject, cancel });
      this.readAgain();
    });
  }

  private async read(version: number): Promise<void> {
    this.reading = true;
    this.version = version;
    try {
      for (const deletion of await this.parts.log.deletions()) this.take(deletion);
    } catch {
      // The log tells its own trouble; the next claim has them read again.
      this.version = -1;
    } finally {
      this.reading = false;
    }
  }

  private readAgain(): void {
    this.version = -1;
    this.parts.claim();
  }

  private take(deletion: SharedDeletion): void {
    const { id, result } = deletion;
    if (id > this.keptThrough!) {
      this.keptThrough = id;
      this.deleteHere(deletion);
    }
    if (result === null) {
      this.carryOut(deletion);
      return;
    }
    const asked = this.asked.get(id);
    this.asked.delete(id);
    asked?.cancel();
    asked?.resolve(result);
  }

  /** An operator asked for it, here or elsewhere. */
  private deleteHere({ askedMs, user }: SharedDeletion): void {
    const { common, log } = this.parts;
    const takenUntilMs = askedMs + common.settings.clock.wallMs() - log.nowMs();
    this.deleteKept(user, takenUntilMs).catch((error: unknown) =>
      common.log('error', asQueueError(error).message),
    );
  }

  private carryOut(deletion: SharedDeletion): void {
    const { active, carried } = this;
    const { id } = deletion;
    if (active === null) return;
    const result = carried.get(id);
    if (result !== undefined && result !== null) this.finish(active.fencingToken, id, result);
    if (carried.has(id)) return;
    carried.set(id, null);
    active.carry(deletion).then(
      (done) => {
        if (this.active !== active) return;
        carried.set(id, done);
        this.finish(active.fencingToken, id, done);
      },
      // Tried again when the deletions are read again, by the next claim; else the next active instance carries it out.
      () => {
        carried.delete(id);
        this.version = -1;
      },
    );
  }

  private finish(fencingToken: number, id: number, result: SharedDeletionResult): void {
    const { log, instance } = this.parts;
    log.finishDeletion(instance, fencingToken, id, result).then(
      () => this.readAgain(),
      // The next claim has them read again, and brings another try.
      () => (this.version = -1),
    );
  }

  close(): void {
    this.active = null;
    for (const { reject, cancel } of this.asked.values()) {
      cancel();
      reject(new Error('The queue was closed before this was done.'));
    }
    this.asked.clear();
  }
}
