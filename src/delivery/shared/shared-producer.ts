// What this process takes for a shared log: the rows of its messages become batches (message-batches.ts), one of them on
// its way at a time, so that they arrive in order; and what comes of their entries finds its message again.

import type { CheckedEntry } from '../../entry/entry';
import { readBody } from '../../entry/read-body';
import type { NewRow, Row } from '../../queue/store';
import type { Clock } from '../../clock';
import type { Common } from '../engine-options';
import type { FreshRow } from '../loader';
import { closedEnd, endOf, type MessageEnd } from '../pending-messages';
import { Producer, type Appender } from '../producer';
import { submissionWith, type Submission } from '../submission';
import { deletionTexts, type Deletion } from '../respond/deletions';
import { nothingEnd, openingEnd, queueFullEnd, storeEnd } from '../respond/not-accepted';
import type { Counters, Outcome } from '../respond/reports';
import { MessageBatches, roomFor, type MessageBatch, type Taken } from './message-batches';
import { sleep, StoreAndForward, type StoreAndForwardParts } from './store-and-forward';

export interface SharedProducerParts extends StoreAndForwardParts {
  readonly common: Pick<Common, 'settings' | 'caps' | 'log' | 'tally' | 'pendingMessages' | 'reporter'>;
  /** Of this process. */
  readonly instance: string;
  /** Own rows are in the log, the first under this number. */
  readonly appended: (firstSeq: number, rows: readonly FreshRow[]) => void;
}

/** While the local buffer fails, or is not open, so many entries may wait for the log in memory. */
const mostInMemory = 50_000;

export class SharedProducer {
  readonly counters: Counters = { taken: 0, accepted: 0, superseded: 0, expired: 0, rejected: 0, waiting: 0 };
  private readonly clock: Clock;
  private readonly producer: Producer<FreshRow[]>;
  readonly way: StoreAndForward;
  private pending: MessageBatch | null = null;
  /** Batches that come next, before what waits. */
  private next: MessageBatch[] = [];
  private readonly batches: MessageBatches;
  /** Of this process's rows in the log. */
  private lastSeq = 0;
  /** Until then nothing is appended or kept, since it would come before what an earlier process left. */
  private isOpen = false;
  private pumping: Promise<void> | null = null;
  /** Everything goes to the local buffer at once; the pump stands still. */
  private draining = false;
  /** Of rows whose numbers, or whose message's other numbers, are not known yet. */
  private early: Outcome[] = [];
  private closed = false;

  constructor(private readonly parts: SharedProducerParts) {
    this.clock = parts.common.settings.clock;
    this.producer = new Producer(parts.common, appender);
    this.batches = new MessageBatches(parts.instance);
    this.way = new StoreAndForward(parts);
  }

  /** Finds what an earlier process left in the local buffer. Until then entries wait in memory. */
  start(): void {
    const found = (entries: number): void => this.countTaken(entries);
    void this.way.open(found).then(() => {
      this.isOpen = true;
      this.askPump();
    });
  }

  /** Entries that wait on this machine, durably. */
  get kept(): number {
    return this.parts.localBuffer.waiting;
  }

  /** Age of the oldest entry that waits on this machine, durably or not. */
  get oldestMs(): number {
    const rows = this.pending?.batch.rows ?? [];
    const appendedWallMs = Math.min(
      this.parts.localBuffer.oldestAppendedWallMs,
      rows[0]?.appendedWallMs ?? Infinity,
    );
    return appendedWallMs === Infinity ? 0 : Math.max(0, this.clock.wallMs() - appendedWallMs);
  }

  submit(submission: Submission): void {
    const refusal = this.refusalOf(submission);
    if (refusal !== null) {
      this.clock.endOfTurn(() => submission.onEnd(refusal));
      return;
    }
    const source = { ...submission.source, instance: this.parts.instance };
    this.producer.push(submissionWith(submission, { source }));
    this.askPump();
  }

  get isBehind(): boolean {
    return this.producer.isBehind;
  }

  private refusalOf({ entries }: Submission): MessageEnd | null {
    if (this.closed) return closedEnd;
    if (entries.length === 0) return nothingEnd;
    const { way } = this;
    const { caps } = this.parts.common;
    const { unstored } = this.producer;
    const isFull = unstored + this.kept + entries.length > caps.queueMaxEntries;
    if (isFull || this.parts.localBuffer.bodyChars > caps.queueMaxBytes) return queueFullEnd(this.kept, caps);
    if (unstored <= mostInMemory) return null;
    if (!this.isOpen) return openingEnd;
    return way.trouble !== null && way.bufferFails ? storeEnd(way.trouble) : null;
  }

  // ── To the log ──────────────────────────────────────────────────────────────────────────────────────────────

  private askPump(): void {
    if (!this.isOpen || this.pumping !== null || !this.producer.storing || this.closed || this.draining)
      return;
    this.pumping = this.pump().finally(() => {
      this.pumping = null;
      this.askPump();
    });
  }

  private async pump(): Promise<void> {
    // Everything of one turn of the event loop travels together.
    await endOfTurn(this.clock);
    while (this.producer.storing && !this.closed && !this.draining) {
      if (this.pending === null && this.next.length === 0) {
        if (this.producer.take(this.clock.monoMs())) this.next = this.batches.of(this.producer.taken);
        else await endOfTurn(this.clock);
      }
      this.pending ??= this.next.shift() ?? null;
      if (this.pending === null) continue;
      if (this.way.buffering) await this.keepPending(this.pending);
      else await this.appendPending(this.pending);
    }
  }

  private async appendPending(pending: MessageBatch): Promise<void> {
    pending.tried = true;
    const result = await this.way.append({ ...pending.batch, ...roomFor(pending, this.parts.common.caps) });
    // Given to the local buffer meanwhile, which hands it in again.
    if (this.pending !== pending || pending.keeping !== null) return;
    if (result === null) {
      if (this.way.isAway) await this.keepPending(pending);
      if (this.pending === pending) await this.way.pause();
      return;
    }
    this.pending = null;
    if (result.kind === 'appended') this.took(pending, result.firstSeq, result.lastSeq);
    else if (result.kind === 'full') this.refuseFull(pending, result.waiting);
    else this.tookUnnumbered(pending);
    this.tellEarly();
  }

  private took(pending: MessageBatch, firstSeq: number, lastSeq: number): void {
    let next = firstSeq;
    for (const { taken, entries } of pending.parts) {
      this.parts.common.pendingMessages.add(taken.pendingMessage, next, entries);
      next += entries;
    }
    this.lastSeq = lastSeq;
    this.stored(pending);
    this.parts.appended(firstSeq, pending.batch.rows);
  }

  /** They are taken, but what comes of them cannot be found by their numbers. */
  private tookUnnumbered(pending: MessageBatch): void {
    for (const { taken } of pending.parts) taken.hasLateOutcomes = true;
    this.stored(pending);
  }

  private stored({ batch, parts }: MessageBatch): void {
    this.countTaken(batch.rows.length);
    for (const { taken, entries } of parts) this.producer.stored(taken, entries);
  }

  private countTaken(rows: number): void {
    this.counters.taken += rows;
    this.counters.waiting += rows;
  }

  /** The queue has no room for all of it: its messages are tried one by one. */
  private refuseFull(pending: MessageBatch, waiting: number): void {
    const { parts } = pending;
    if (parts.length > 1) {
      this.next = parts.flatMap(({ taken }) => this.batches.ofOne(taken));
      return;
    }
    const { caps } = this.parts.common;
    const { taken } = parts[0]!;
    if (taken.rows <= caps.queueMaxEntries && this.parts.takesOneMore()) {
      this.next.unshift({ ...pending, following: null });
      return;
    }
    this.next = this.next.filter((one) => one.parts[0]!.taken !== taken);
    this.producer.notStored(taken, queueFullEnd(waiting, caps));
  }

  /** To the local buffer, once: the pump may be about to, and a drain, too. */
  private async keepPending(pending: MessageBatch): Promise<void> {
    pending.keeping ??= this.keepOnce(pending).finally(() => (pending.keeping = null));
    await pending.keeping;
  }

  private async keepOnce(pending: MessageBatch): Promise<void> {
    const { rows, producerId: stream, batchSequence: number } = pending.batch;
    if (!(await this.way.keep(rows, pending.tried ? { producerId: stream, batchSequence: number } : null)))
      return;
    this.pending = null;
    this.tookUnnumbered(pending);
    this.tellEarly();
  }

  // ── What comes of them ──────────────────────────────────────────────────────────────────────────────────────

  /** Entries that this process took, or a process that is gone, have ended. */
  report(outcomes: readonly Outcome[]): void {
    const due: Outcome[] = [];
    for (const outcome of outcomes) (this.isEarly(outcome) ? this.early : due).push(outcome);
    for (const outcome of due) this.countEnd(outcome);
    this.parts.common.reporter.report(due);
  }

  /**
   * This process counted as gone, so another one reports what came of its entries. Its messages end as queued; one that is not
   * stored yet ends once it is.
   */
  wasGone(): void {
    const { taken } = this.producer;
    for (const one of taken) one.hasLateOutcomes = true;
    const unstored = new Set(taken.map(({ pendingMessage }) => pendingMessage));
    this.parts.common.pendingMessages.endAllQueued(unstored);
  }

  private isEarly({ seq }: Outcome): boolean {
    // The number of a batch that is on its way is not known yet.
    if (this.pending !== null && seq > this.lastSeq) return true;
    const { placing } = this;
    return placing !== null && this.parts.common.pendingMessages.find(seq) === placing.pendingMessage;
  }

  /** A message that is in part in the log or the local buffer. */
  private get placing(): Taken | null {
    const [first] = this.producer.taken;
    return first !== undefined && first.stored > 0 ? first : null;
  }

  private tellEarly(): void {
    if (this.placing === null && this.early.length > 0) this.report(this.early.splice(0));
  }

  private countEnd({ ending }: Outcome): void {
    // Of a process that is gone: never counted as taken here.
    if (this.counters.waiting === 0) this.countTaken(1);
    this.counters.waiting -= 1;
    this.counters[endOf(ending)] += 1;
  }

  /** A node closes: its messages end; what was taken stays queued. */
  closeNode(node: string): void {
    this.producer.closeNode(node);
  }

  // ── Deletions on this machine ───────────────────────────────────────────────────────────────────────────────

  /**
   * Deletes what this machine keeps, of a user or of all (null), and took until then, by its own clock. Resolves to how many
   * entries that were; rejects with a QueueError.
   */
  async deleteKept(userKeys: readonly string[] | null, takenUntilMs = Infinity): Promise<number> {
    const { localBuffer } = this.parts;
    await this.placed();
    let entries = 0;
    const gone = (rows: readonly Row[]): void => {
      entries += rows.length;
      this.report(rows.map((row) => deletedOutcome(row, userKeys === null ? 'purged' : 'erased')));
    };
    if (userKeys === null) await localBuffer.purge(takenUntilMs, gone);
    else await localBuffer.erase(userKeys, takenUntilMs, gone);
    return entries;
  }

  /** Resolves when what was handed in before is in the log or in the local buffer. */
  async placed(): Promise<void> {
    const last = this.producer.pushed;
    // While it fails there is nothing to wait for.
    while (this.producer.storedThrough < last && !(this.isOpen && this.way.bufferFails) && !this.closed)
      await sleep(this.clock, 20);
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Resolves when nothing is on its way any more: what the log does not take within `maxMs` goes to the local buffer. */
  async drain(maxMs: number): Promise<void> {
    const untilMs = this.clock.monoMs() + maxMs;
    while (this.producer.storing && this.clock.monoMs() < untilMs) await sleep(this.clock, 20);
    this.draining = true;
    for (this.pending ??= this.next.shift() ?? null; this.pending !== null;) {
      const pending: MessageBatch = this.pending;
      await this.keepPending(pending);
      // The local buffer fails, too: it is tried again.
      if (this.pending === pending) break;
      this.pending ??= this.next.shift() ?? null;
    }
    this.draining = false;
    this.askPump();
    this.parts.common.tally.flush();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.producer.refuse(closedEnd);
    this.producer.noneStored(closedEnd);
    this.next = [];
    this.pending = null;
    this.tellEarly();
    this.parts.common.tally.flush();
    await this.way.close();
  }
}

/** Keeps the rows of a message until they are in batches. What is refused is refused before, or by the log. */
const appender: Appender<FreshRow[]> = {
  durable: true,
  refusalOf: () => null,
  begin: () => ({ firstSeq: 0, state: [] }),
  append: (row: NewRow, entry: CheckedEntry, { state }: Taken) => {
    state.push({ ...row, entry });
  },
  undo: () => undefined,
};

/** Its message has ended. A user who is erased is shown to nobody. */
function deletedOutcome({ body, source }: Row, why: Deletion): Outcome {
  const rejection = { code: why, message: deletionTexts[why] };
  const checked = why === 'erased' ? null : readBody(body);
  const ending = { rejection, effect: 'none', warnings: null } as const;
  return { seq: 0, source, pendingMessage: null, checked, ending };
}

function endOfTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.endOfTurn(resolve));
}
