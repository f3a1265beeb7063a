// Where entries wait on this machine while the shared log cannot be reached, until they are handed over in order.
//
// What was handed over is removed here only afterwards. A crash in between repeats a batch under its old batch sequence, which
// the log then knows (see `Batch`). The batch that was on its way when the connection broke comes first, under the
// producer id and batch sequence that it had: nobody knows whether it arrived.

import { randomUUID } from 'node:crypto';

import { InTurn } from '../../in-turn';
import { hashUserKey } from '../../entry/keys';
import { isBodyOf } from '../../entry/read-body';
import { charsOf, firstBatch, rowsPerBatch } from '../../queue/batches';
import { lanes, type NewRow, type QueueStore, type Row } from '../../queue/store';
import type { Batch, SharedLog, SharedRow } from '../../queue/shared-log';

/** Parts of the store: never change them. */
const producerIdKey = 'producerId';
const doubtKey = 'doubtful batch';

/** A batch of which nobody knows whether the log has it. */
export type Doubt = Pick<Batch, 'producerId' | 'batchSequence'>;

interface DoubtfulRows extends Doubt {
  /** Its rows here. */
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** What is handed over at once. */
interface Page extends Doubt {
  readonly rows: readonly Row[];
}

export type HandOver =
  | { readonly kind: 'handedOver'; readonly rows: number }
  /** The log holds as much as it may. */
  | { readonly kind: 'full' }
  | { readonly kind: 'empty' };

export class LocalBuffer {
  /** Entries that wait here. */
  waiting = 0;
  /** Entries that an earlier process left. */
  found = 0;
  bodyChars = 0;
  /** Epoch ms before which nothing that waits here was taken, as far as is known; Infinity when nothing waits. */
  oldestAppendedWallMs = Infinity;
  private lastSeq = 0;
  private producerId = '';
  private doubt: DoubtfulRows | null = null;
  /** The store has a note of a doubtful batch, perhaps of one that was never written here. */
  private doubtNoted = false;
  /** Resolves when nothing is being handed over or discarded: one at a time, or what is discarded might be on its way. */
  private readonly turns = new InTurn();
  private opening: Promise<void> | null = null;
  /** Everything up to it was handed over; null until the log has said so. */
  private handedOverSeq: number | null = null;
  /** On its way to the log. Until its fate is known it is handed in again under its batch sequence, or that would lie. */
  private page: Page | null = null;

  constructor(
    private readonly store: QueueStore,
    private readonly log: SharedLog,
    private readonly instance: string,
  ) {}

  /** Finds what an earlier process left. Rejects with a QueueError; may then be called again. */
  open(): Promise<void> {
    this.opening ??= this.openOnce().catch((error: unknown) => {
      this.opening = null;
      throw error;
    });
    return this.opening;
  }

  private async openOnce(): Promise<void> {
    const { store } = this;
    const { lastSeq, waiting, bodyChars, oldestAppendedWallMs } = await store.open();
    this.oldestAppendedWallMs = oldestAppendedWallMs ?? Infinity;
    try {
      this.lastSeq = lastSeq;
      this.waiting = waiting;
      this.found = waiting;
      this.bodyChars = bodyChars;
      this.producerId = (await store.getMeta(producerIdKey)) ?? '';
      if (this.producerId === '') {
        this.producerId = randomUUID();
        await store.setMeta(producerIdKey, this.producerId);
      }
      const doubt = readDoubt(await store.getMeta(doubtKey));
      // Noted for rows that were never written: their numbers go to others now.
      this.doubt = doubt !== null && doubt.lastSeq <= lastSeq ? doubt : null;
      this.doubtNoted = doubt !== null;
    } catch (error) {
      await store.close().catch(() => undefined);
      throw error;
    }
  }

  /** Durable when it resolves. `doubt`: the rows were on their way to the log. Rejects with a QueueError. */
  async keep(rows: readonly SharedRow[], doubt: Doubt | null): Promise<void> {
    await this.open();
    const { store } = this;
    const append = rows.map((row, index): NewRow => ({
      ...row,
      seq: this.lastSeq + 1 + index,
      eventMonoMs: 0,
      cold: true,
    }));
    const lastSeq = this.lastSeq + rows.length;
    const doubtful = doubt === null ? null : { ...doubt, firstSeq: this.lastSeq + 1, lastSeq };
    if (doubtful !== null || (this.doubtNoted && this.doubt === null)) await this.noteDoubt(doubtful);
    await store.commit({ append });
    if (doubtful !== null) this.doubt = doubtful;
    this.lastSeq = lastSeq;
    this.oldestAppendedWallMs = Math.min(this.oldestAppendedWallMs, rows[0]?.appendedWallMs ?? Infinity);
    this.waiting += rows.length;
    this.bodyChars += charsOf(rows);
  }

  private async noteDoubt(doubt: DoubtfulRows | null): Promise<void> {
    await this.store.setMeta(doubtKey, doubt === null ? '' : JSON.stringify(doubt));
    this.doubtNoted = doubt !== null;
  }

  /** Hands the oldest over: one batch. Rejects with a QueueError of either side; nothing is lost then. */
  handOver(caps: Pick<Batch, 'maxEntries' | 'maxChars'>): Promise<HandOver> {
    return this.turns.run(() => this.handOverOnce(caps));
  }

  private async handOverOnce(caps: Pick<Batch, 'maxEntries' | 'maxChars'>): Promise<HandOver> {
    await this.open();
    this.handedOverSeq ??= await this.forgetHandedOver();
    const page = (this.page ??= await this.oldest(this.handedOverSeq));
    if (page === null) return { kind: 'empty' };
    const { producerId, batchSequence, rows } = page;
    const its = { producerId, batchSequence, rows: rows.map(sharedRow), instance: this.instance };
    // More than the log may hold waits until that is empty, not forever.
    const maxEntries = Math.max(caps.maxEntries, rows.length);
    const maxChars = Math.max(caps.maxChars, charsOf(rows));
    const result = await this.log.append({ ...its, maxEntries, maxChars });
    if (result.kind === 'full') return { kind: 'full' };
    await this.removeHandedOver(rows);
    this.page = null;
    return { kind: 'handedOver', rows: rows.length };
  }

  /** An earlier process may have died between handing over and removing. */
  private async forgetHandedOver(): Promise<number> {
    const through = await this.log.appendedThrough(this.producerId);
    for (;;) {
      const rows = await this.rowsBetween(0, through, rowsPerBatch);
      if (rows.length === 0) return through;
      await this.removeHandedOver(rows);
    }
  }

  /** The first `most` of both lanes, in order. */
  private async rowsBetween(afterSeq: number, throughSeq: number, most: number): Promise<readonly Row[]> {
    const pages = await Promise.all(lanes.map((lane) => this.store.read(lane, afterSeq, throughSeq, most)));
    return pages
      .flat()
      .sort((a, b) => a.seq - b.seq)
      .slice(0, most);
  }

  /** Null: nothing waits. */
  private async oldest(first: number): Promise<Page | null> {
    const { doubt } = this;
    const through = doubt?.lastSeq ?? Infinity;
    const most = doubt === null ? rowsPerBatch : doubt.lastSeq - doubt.firstSeq + 1;
    const found = await this.rowsBetween(first, through, most);
    if (found.length > 0 && doubt !== null) return { ...doubt, rows: found };
    if (found.length > 0) {
      const rows = firstBatch(found);
      return { producerId: this.producerId, batchSequence: rows.at(-1)!.seq, rows };
    }
    if (doubt === null) return null;
    // All of the doubtful ones are in the log, or discarded, and removed from this buffer.
    await this.noteDoubt(null);
    this.doubt = null;
    return this.oldest(first);
  }

  private async removeHandedOver(rows: readonly Row[]): Promise<void> {
    await this.remove(rows);
    const { seq, appendedWallMs } = rows.at(-1)!;
    this.handedOverSeq = Math.max(this.handedOverSeq ?? 0, seq);
    if (this.waiting > 0) this.oldestAppendedWallMs = appendedWallMs;
  }

  private async remove(rows: readonly Row[]): Promise<void> {
    await this.store.commit({ remove: rows.map(({ seq }) => seq) });
    this.waiting -= rows.length;
    this.bodyChars -= charsOf(rows);
    if (this.waiting === 0) this.oldestAppendedWallMs = Infinity;
  }

  // ── Discarding ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Removes what waits here now and was taken until then; `gone` is given it, a page at a time, in order. What is in the
   * log already, or may be, is the log's to give up, too. Rejects with a QueueError.
   */
  purge(takenUntilMs: number, gone: (rows: readonly Row[]) => void): Promise<void> {
    return this.turns.run(async () => {
      await this.open();
      await this.passHandedOver();
      const through = this.lastSeq;
      for (let after = this.handedOverSeq ?? 0; ;) {
        const rows = await this.rowsBetween(after, through, rowsPerBatch);
        const last = rows.at(-1);
        if (last === undefined) return;
        await this.discard(
          rows.filter((row) => row.appendedWallMs <= takenUntilMs),
          gone,
        );
        after = last.seq;
      }
    });
  }

  /** Removes what waits here of a user, as `purge` does. */
  erase(
    userKeys: readonly string[],
    takenUntilMs: number,
    gone: (rows: readonly Row[]) => void,
  ): Promise<void> {
    return this.turns.run(async () => {
      await this.open();
      await this.passHandedOver();
      const throughSeq = this.lastSeq;
      for (const userHash of userKeys.map(hashUserKey)) {
        for (let afterSeq = this.handedOverSeq ?? 0; afterSeq < throughSeq;) {
          const rows = (await this.store.rowsOfUsers([{ userHash, afterSeq, throughSeq }], rowsPerBatch))[0]!;
          await this.discard(
            rows.filter((row) => row.appendedWallMs <= takenUntilMs && isBodyOf(userKeys, row.body)),
            gone,
          );
          afterSeq = rows.length < rowsPerBatch ? throughSeq : rows.at(-1)!.seq;
        }
      }
    });
  }

  /** What the log has does not wait here any more. While it cannot say, all of it counts as waiting here. */
  private async passHandedOver(): Promise<void> {
    try {
      this.handedOverSeq ??= await this.forgetHandedOver();
    } catch {
      // The log tells its own trouble.
    }
  }

  private async discard(rows: readonly Row[], gone: (rows: readonly Row[]) => void): Promise<void> {
    if (rows.length === 0) return;
    await this.remove(rows);
    if (this.page !== null) {
      const seqs = new Set(rows.map(({ seq }) => seq));
      const left = this.page.rows.filter(({ seq }) => !seqs.has(seq));
      this.page = left.length === 0 ? null : { ...this.page, rows: left };
    }
    gone(rows);
  }

  close(): Promise<void> {
    return this.opening === null ? Promise.resolve() : this.store.close();
  }
}

function sharedRow({ lane, userHash, source, eventWallMs, appendedWallMs, body }: Row): SharedRow {
  return { lane, userHash, source, eventWallMs, appendedWallMs, body };
}

function readDoubt(text: string | null): DoubtfulRows | null {
  if (text === null || text === '') return null;
  return JSON.parse(text) as DoubtfulRows;
}
