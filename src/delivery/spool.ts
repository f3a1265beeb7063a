// Where entries wait on this machine while the shared log cannot be reached, until they are handed over in order.
//
// What was handed over is removed here only afterwards. A crash in between repeats a batch under its old number, which
// the log then knows (see `Batch`). The batch that was on its way when the connection broke comes first, under the
// stream and number that it had: nobody knows whether it arrived.

import { randomUUID } from 'node:crypto';

import { hashUserKey } from '../audience/keys';
import { parseBody } from '../audience/serialise';
import { lanes, type NewRow, type Outbox, type Row } from '../outbox/outbox';
import type { Batch, SharedLog, SharedRow } from '../outbox/shared-log';

/** Parts of the store: never change them. */
const streamKey = 'stream';
const doubtKey = 'doubtful batch';

const rowsPerBatch = 1_000;
const rowsPerSearch = 20_000;

/** A batch of which nobody knows whether the log has it. */
export type Doubt = Pick<Batch, 'stream' | 'number'>;

interface DoubtfulRows extends Doubt {
  /** Its rows here. */
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export type HandOver =
  | { readonly kind: 'handedOver'; readonly rows: number }
  /** The log holds as much as it may. */
  | { readonly kind: 'full' }
  | { readonly kind: 'empty' };

export class Spool {
  /** Entries that wait here. */
  waiting = 0;
  bodyChars = 0;
  /** Epoch ms before which nothing that waits here was taken, as far as is known; Infinity when nothing waits. */
  oldestTakenWallMs = Infinity;
  private lastSeq = 0;
  private stream = '';
  private doubt: DoubtfulRows | null = null;
  /** The store has a note of a doubtful batch, perhaps of one that was never written here. */
  private doubtNoted = false;
  private handingOver: Promise<HandOver> | null = null;
  private opening: Promise<void> | null = null;
  /** Everything up to it was handed over; null until the log has said so. */
  private handedOverSeq: number | null = null;
  /** On its way to the log. Until its fate is known it is handed in again as it is, or its number would lie. */
  private page: readonly Row[] | null = null;

  constructor(
    private readonly outbox: Outbox,
    private readonly log: SharedLog,
    private readonly instance: string,
  ) {}

  /** Finds what an earlier process left. Rejects with an OutboxError; may then be called again. */
  open(): Promise<void> {
    this.opening ??= this.openOnce().catch((error: unknown) => {
      this.opening = null;
      throw error;
    });
    return this.opening;
  }

  private async openOnce(): Promise<void> {
    const { outbox } = this;
    const { lastSeq, waiting, bodyChars, oldestTakenWallMs } = await outbox.open();
    this.oldestTakenWallMs = oldestTakenWallMs ?? Infinity;
    try {
      this.lastSeq = lastSeq;
      this.waiting = waiting;
      this.bodyChars = bodyChars;
      this.stream = (await outbox.getMeta(streamKey)) ?? '';
      if (this.stream === '') {
        this.stream = randomUUID();
        await outbox.setMeta(streamKey, this.stream);
      }
      const doubt = readDoubt(await outbox.getMeta(doubtKey));
      // Noted for rows that were never written: their numbers go to others now.
      this.doubt = doubt !== null && doubt.lastSeq <= lastSeq ? doubt : null;
      this.doubtNoted = doubt !== null;
    } catch (error) {
      await outbox.close().catch(() => undefined);
      throw error;
    }
  }

  /** Durable when it resolves. `doubt`: the rows were on their way to the log. Rejects with an OutboxError. */
  async keep(rows: readonly SharedRow[], doubt: Doubt | null): Promise<void> {
    await this.open();
    const { outbox } = this;
    const append = rows.map((row, index): NewRow => ({
      ...row,
      seq: this.lastSeq + 1 + index,
      bornMonoMs: 0,
    }));
    const lastSeq = this.lastSeq + rows.length;
    const doubtful = doubt === null ? null : { ...doubt, firstSeq: this.lastSeq + 1, lastSeq };
    if (doubtful !== null || (this.doubtNoted && this.doubt === null)) await this.noteDoubt(doubtful);
    await outbox.commit({ append });
    if (doubtful !== null) this.doubt = doubtful;
    this.lastSeq = lastSeq;
    this.oldestTakenWallMs = Math.min(this.oldestTakenWallMs, rows[0]?.takenWallMs ?? Infinity);
    this.waiting += rows.length;
    for (const { body } of rows) this.bodyChars += body.length;
  }

  private async noteDoubt(doubt: DoubtfulRows | null): Promise<void> {
    await this.outbox.setMeta(doubtKey, doubt === null ? '' : JSON.stringify(doubt));
    this.doubtNoted = doubt !== null;
  }

  /** Hands the oldest over: one batch. Rejects with an OutboxError of either side; nothing is lost then. */
  handOver(caps: Pick<Batch, 'maxEntries' | 'maxChars'>): Promise<HandOver> {
    this.handingOver ??= this.handOverOnce(caps).finally(() => (this.handingOver = null));
    return this.handingOver;
  }

  private async handOverOnce(caps: Pick<Batch, 'maxEntries' | 'maxChars'>): Promise<HandOver> {
    await this.open();
    this.handedOverSeq ??= await this.forgetHandedOver();
    const rows = (this.page ??= await this.oldest(this.handedOverSeq));
    if (rows.length > 0) {
      const batch = this.batchOf(rows);
      const result = await this.log.append({ ...batch, ...caps, instance: this.instance });
      if (result.kind === 'full') return { kind: 'full' };
    }
    await this.remove(rows);
    this.page = null;
    return rows.length === 0 ? { kind: 'empty' } : { kind: 'handedOver', rows: rows.length };
  }

  /** An earlier process may have died between handing over and removing. */
  private async forgetHandedOver(): Promise<number> {
    const through = await this.log.streamThrough(this.stream);
    for (;;) {
      const rows = await this.rowsBetween(0, through, rowsPerBatch);
      if (rows.length === 0) return through;
      await this.remove(rows);
    }
  }

  /** The first `most` of both lanes, in order. */
  private async rowsBetween(afterSeq: number, throughSeq: number, most: number): Promise<readonly Row[]> {
    const pages = await Promise.all(
      lanes.map(async (lane) => (await this.outbox.read(lane, afterSeq, throughSeq, most)).rows),
    );
    return pages
      .flat()
      .sort((a, b) => a.seq - b.seq)
      .slice(0, most);
  }

  private async oldest(first: number): Promise<readonly Row[]> {
    const through = this.doubt?.lastSeq ?? Infinity;
    const most = this.doubt === null ? rowsPerBatch : this.doubt.lastSeq - this.doubt.firstSeq + 1;
    const rows = await this.rowsBetween(first, through, most);
    if (rows.length > 0 || this.doubt === null) return rows;
    // All of the doubtful ones are in the log, and gone from here.
    await this.noteDoubt(null);
    this.doubt = null;
    return this.oldest(first);
  }

  private batchOf(rows: readonly Row[]): Pick<Batch, 'stream' | 'number' | 'rows'> {
    const known = this.doubt ?? { stream: this.stream, number: rows.at(-1)!.seq };
    return { stream: known.stream, number: known.number, rows: rows.map(sharedRow) };
  }

  private async remove(rows: readonly Row[]): Promise<void> {
    const last = rows.at(-1);
    if (last === undefined) return;
    await this.outbox.commit({ remove: rows.map(({ seq }) => seq) });
    this.handedOverSeq = Math.max(this.handedOverSeq ?? 0, last.seq);
    this.waiting -= rows.length;
    this.oldestTakenWallMs = this.waiting === 0 ? Infinity : last.takenWallMs;
    for (const { body } of rows) this.bodyChars -= body.length;
  }

  /** Removes what waits here of a user. Resolves to how many entries that were; rejects with an OutboxError. */
  async erase(userKeys: readonly string[]): Promise<number> {
    await this.open();
    // What is on its way is the log's to erase.
    await this.handingOver?.catch(() => undefined);
    const hashes = userKeys.map(hashUserKey);
    const gone: Row[] = [];
    for (let after: number | null = this.handedOverSeq ?? 0; after !== null;) {
      const { rows, throughSeq } = await this.outbox.rowsOfUsers(hashes, after, rowsPerSearch);
      gone.push(...rows.filter(({ body }) => userKeys.includes(parseBody(body).userKey)));
      after = throughSeq;
    }
    if (gone.length === 0) return 0;
    const seqs = new Set(gone.map(({ seq }) => seq));
    await this.outbox.commit({ remove: [...seqs] });
    this.waiting -= gone.length;
    for (const { body } of gone) this.bodyChars -= body.length;
    this.page = this.page?.filter(({ seq }) => !seqs.has(seq)) ?? null;
    return gone.length;
  }

  close(): Promise<void> {
    return this.opening === null ? Promise.resolve() : this.outbox.close();
  }
}

function sharedRow({ lane, userHash, source, bornWallMs, takenWallMs, body }: Row): SharedRow {
  return { lane, userHash, source, bornWallMs, takenWallMs, body };
}

function readDoubt(text: string | null): DoubtfulRows | null {
  if (text === null || text === '') return null;
  return JSON.parse(text) as DoubtfulRows;
}
