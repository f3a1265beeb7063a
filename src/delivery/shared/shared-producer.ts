// What this process takes for a shared log: messages become batches, one of them on its way at a time, so that they
// arrive in order; and what comes of their entries finds its message again.
//
// A message that is too large for a batch is in several, one after the other, and ends when the last of them is in the
// log or in the local buffer. Before the first one the queue must have room for all of them, so that all or none of it is
// taken; the others then go in whatever other processes have appended meanwhile.
//
// When the log does not answer, batches go to the local buffer on this machine, also the one whose fate is not known; new ones
// stay behind what waits there until all of it has been handed over.

import { hashUserKey } from '../../entry/keys';
import { readBody } from '../../entry/check';
import { queuedBody } from '../../entry/serialise';
import { batchesOf, charsOf, rowsPerBatch } from '../../queue/batches';
import type { QueueError, Row } from '../../queue/store';
import type { Batch, SharedLog } from '../../queue/shared-log';
import type { Clock } from '../../clock';
import { laneOf } from '../pending/pending-users';
import { deletionTexts, type Deletion } from '../respond/deletions';
import { endOf } from '../respond/entry-end';
import {
  ageMsOf,
  handIn,
  pendingMessageOf,
  type FreshRow,
  type HandedIn,
  type Submission,
} from '../producer';
import type { Common } from '../engine-parts';
import type { Counters, Outcome } from '../respond/reports';
import type { LocalBuffer } from './local-buffer';
import { closedEnd, type PendingMessages, type PendingMessage, type MessageEnd } from '../pending-messages';
import {
  asQueueError,
  nothingEnd,
  openingEnd,
  storeEnd,
  queueFullEnd,
  type QueueCaps,
} from '../respond/not-accepted';

export interface SharedProducerParts {
  readonly common: Pick<Common, 'settings' | 'caps' | 'log' | 'tally' | 'pendingMessages' | 'reporter'>;
  readonly log: SharedLog;
  readonly localBuffer: LocalBuffer;
  /** Of this process. */
  readonly instance: string;
  /** Whether the full log takes a message, or what is handed over at once, all the same: see `partsOf`. */
  readonly takesOneMore: () => boolean;
  /** Own rows are in the log, the first under this number. */
  readonly appended: (firstSeq: number, rows: readonly FreshRow[]) => void;
}

interface Taken {
  readonly submission: Submission;
  readonly pendingMessage: PendingMessage;
  readonly rows: readonly FreshRow[];
}

/** What a batch has of a message. */
interface Part {
  readonly submission: Submission;
  readonly pendingMessage: PendingMessage;
  readonly entries: number;
  readonly isLast: boolean;
}

interface Pending {
  readonly batch: Pick<Batch, 'stream' | 'number'> & { readonly rows: readonly FreshRow[] };
  readonly parts: readonly Part[];
  /** What follows of its message, for which the queue must have room, too; null for what follows itself. */
  readonly following: { readonly rows: number; readonly chars: number } | null;
  /** It was handed to the log, which may have it. */
  tried: boolean;
  /** Until it is in the local buffer, or could not be written there. */
  keeping: Promise<void> | null;
}

const nothing = { rows: 0, chars: 0 };
const unbounded = { maxEntries: Infinity, maxChars: Infinity };
const retryMs = 250;
/** Once the log has failed for so long, entries are kept on this machine. */
const bufferAfterMs = 2_000;
const handOverRetryMs = 1_000;
/** Without a local buffer, or before it is open, so many entries may wait for the log in memory. */
const mostInMemory = 50_000;

export class SharedProducer {
  readonly counters: Counters = { taken: 0, accepted: 0, superseded: 0, expired: 0, rejected: 0, waiting: 0 };
  /** Why the log does not answer; null while it does, as far as is known. */
  trouble: QueueError | null = null;
  private readonly clock: Clock;
  private readonly pendingMessages: PendingMessages;
  private waiting: HandedIn[] = [];
  /** Of messages that are neither in the log nor in the local buffer. */
  private waitingRows = 0;
  private pending: Pending | null = null;
  /** Batches that come next, before what waits. */
  private next: Pending[] = [];
  /** A message that is in part in the log or the local buffer. */
  private placing: PendingMessage | null = null;
  /** Messages that are in part in the local buffer. */
  private readonly buffered = new WeakSet<PendingMessage>();
  private lastNumber = 0;
  /** Of this process's rows in the log. */
  private lastSeq = 0;
  /** What an earlier process left is known: nothing is appended or kept before, or it would come out of order. */
  private readonly opened: Promise<void>;
  private begin: (() => void) | null = null;
  /** Everything goes to the local buffer first. */
  private buffering = false;
  private bufferFails = false;
  private keeping = 0;
  private handingOver = false;
  private pumping: Promise<void> | null = null;
  private pumpAsked = false;
  /** Everything goes to the local buffer at once; the pump stands still. */
  private draining = false;
  private failingSinceMs: number | null = null;
  /** Of rows whose numbers, or whose message's other numbers, are not known yet. */
  private early: Outcome[] = [];
  private closed = false;
  private wake: (() => void) | null = null;

  constructor(private readonly parts: SharedProducerParts) {
    this.clock = parts.common.settings.clock;
    this.pendingMessages = parts.common.pendingMessages;
    this.opened = new Promise((resolve) => (this.begin = resolve));
  }

  private get caps(): QueueCaps {
    return this.parts.common.caps;
  }

  /** Finds what an earlier process left in the local buffer. Without a local buffer entries wait for the log in memory. */
  start(): void {
    this.parts.localBuffer
      .open()
      .then(
        () => {
          const { waiting } = this.parts.localBuffer;
          if (waiting === 0) return;
          this.counters.taken += waiting;
          this.counters.waiting += waiting;
          this.buffering = true;
          this.handOver();
        },
        (error: unknown) => {
          this.bufferFails = true;
          this.parts.common.log('error', asQueueError(error).message);
        },
      )
      .finally(() => {
        this.begin?.();
        this.begin = null;
      });
  }

  /** The log answers somebody: what waits for a next try need not. */
  retryNow(): void {
    if (this.trouble !== null) this.wake?.();
  }

  /** Entries that wait on this machine, durably. */
  get kept(): number {
    return this.parts.localBuffer.waiting;
  }

  /** Age of the oldest entry that waits on this machine, durably or not. */
  get oldestMs(): number {
    const rows = this.pending?.batch.rows ?? [];
    const takenWallMs = Math.min(this.parts.localBuffer.oldestTakenWallMs, rows[0]?.takenWallMs ?? Infinity);
    return takenWallMs === Infinity ? 0 : Math.max(0, this.clock.wallMs() - takenWallMs);
  }

  /** Whether something is on its way to the log or the local buffer. */
  get busy(): boolean {
    return this.waiting.length > 0 || this.next.length > 0 || this.pending !== null;
  }

  submit(submission: Submission): void {
    const refusal = this.refusalOf(submission);
    if (refusal !== null) {
      this.clock.endOfTurn(() => submission.onEnd(refusal));
      return;
    }
    this.waiting.push(handIn(submission, this.clock));
    this.waitingRows += submission.entries.length;
    this.askPump();
  }

  private refusalOf({ entries }: Submission): MessageEnd | null {
    if (this.closed) return closedEnd;
    if (entries.length === 0) return nothingEnd;
    const { queueMaxEntries: most } = this.caps;
    const here = this.waitingRows + this.kept + entries.length;
    if (here > most || this.parts.localBuffer.bodyChars > this.caps.queueMaxBytes)
      return queueFullEnd(this.kept, this.caps);
    if (this.waitingRows <= mostInMemory) return null;
    if (this.begin !== null) return openingEnd;
    return this.trouble !== null && this.bufferFails ? storeEnd(this.trouble) : null;
  }

  // ── To the log ──────────────────────────────────────────────────────────────────────────────────────────────

  private askPump(): void {
    if (this.pumping !== null || this.pumpAsked) return;
    this.pumpAsked = true;
    // Everything of one turn of the event loop travels together.
    this.clock.endOfTurn(() => {
      this.pumpAsked = false;
      this.pumping ??= this.pump().finally(() => {
        this.pumping = null;
        if (this.busy && !this.closed && !this.draining) this.askPump();
      });
    });
  }

  private async pump(): Promise<void> {
    await this.opened;
    while (this.busy && !this.closed && !this.draining) {
      if (this.pending === null && this.next.length === 0) this.next = this.nextBatches();
      this.pending ??= this.next.shift()!;
      if (this.buffering) await this.keepPending(this.pending);
      else await this.appendPending(this.pending);
    }
  }

  private nextBatches(): Pending[] {
    const taken: Taken[] = [];
    let entries = 0;
    for (const handedIn of this.waiting) {
      const { submission } = handedIn;
      entries += submission.entries.length;
      if (entries > rowsPerBatch && taken.length > 0) break;
      taken.push({ submission, pendingMessage: pendingMessageOf(submission), rows: this.rowsOf(handedIn) });
    }
    this.waiting.splice(0, taken.length);
    const rows = taken.flatMap((one) => one.rows);
    if (batchesOf(rows).length > 1) return taken.flatMap((one) => this.batchesOf(one));
    const parts = taken.map((one): Part => ({ ...one, entries: one.rows.length, isLast: true }));
    return [this.pendingOf(rows, parts, nothing)];
  }

  /** A message by itself, in as many batches as it takes. */
  private batchesOf({ submission, pendingMessage, rows }: Taken): Pending[] {
    const batches = batchesOf(rows);
    const after = rows.slice(batches[0]!.length);
    const following = { rows: after.length, chars: charsOf(after) };
    return batches.map((batch, at) => {
      const part = { submission, pendingMessage, entries: batch.length, isLast: at === batches.length - 1 };
      return this.pendingOf(batch, [part], at === 0 ? following : null);
    });
  }

  private pendingOf(
    rows: readonly FreshRow[],
    parts: readonly Part[],
    following: Pending['following'],
  ): Pending {
    this.lastNumber += 1;
    const batch = { stream: this.parts.instance, number: this.lastNumber, rows };
    return { batch, parts, following, tried: false, keeping: null };
  }

  private rowsOf(handedIn: HandedIn): FreshRow[] {
    const { entries } = handedIn.submission;
    const source = { ...handedIn.submission.source, instance: this.parts.instance };
    const nowMs = this.clock.monoMs();
    const wallMs = this.clock.wallMs();
    return entries.map((entry) => {
      const ageMs = ageMsOf(entry, handedIn, nowMs);
      return {
        entry,
        lane: laneOf(entry),
        userHash: hashUserKey(entry.userKey),
        source,
        eventWallMs: wallMs - ageMs,
        eventMonoMs: nowMs - ageMs,
        takenWallMs: wallMs,
        body: queuedBody(entry),
      };
    });
  }

  private async appendPending(pending: Pending): Promise<void> {
    const { log, instance } = this.parts;
    const startedMs = this.clock.monoMs();
    pending.tried = true;
    try {
      const result = await log.append({ ...pending.batch, instance, ...this.roomFor(pending) });
      // Given to the local buffer meanwhile, which hands it in again.
      if (this.pending !== pending || pending.keeping !== null) return;
      this.answered();
      this.pending = null;
      if (result.kind === 'appended') this.took(pending, result.firstSeq, result.lastSeq);
      else if (result.kind === 'full') this.refuseFull(pending, result.waiting);
      else this.tookUnnumbered(pending);
      this.tellEarly();
    } catch (error) {
      if (this.pending !== pending || pending.keeping !== null) return;
      this.failed(error);
      this.failingSinceMs ??= startedMs;
      if (this.clock.monoMs() - this.failingSinceMs >= bufferAfterMs) await this.keepPending(pending);
      if (this.pending === pending) await this.sleep(retryMs);
    }
  }

  private roomFor({ following }: Pending): Pick<Batch, 'maxEntries' | 'maxChars'> {
    if (following === null) return unbounded;
    const { queueMaxEntries, queueMaxBytes } = this.caps;
    return { maxEntries: queueMaxEntries - following.rows, maxChars: queueMaxBytes - following.chars };
  }

  private took(pending: Pending, firstSeq: number, lastSeq: number): void {
    let next = firstSeq;
    for (const { pendingMessage, entries } of pending.parts) {
      this.pendingMessages.add(pendingMessage, next, entries);
      next += entries;
    }
    this.lastSeq = lastSeq;
    this.stored(pending);
    this.parts.appended(firstSeq, pending.batch.rows);
  }

  /** They are taken, but what comes of them cannot be found by their numbers. */
  private tookUnnumbered(pending: Pending): void {
    for (const { pendingMessage } of pending.parts) this.buffered.add(pendingMessage);
    this.stored(pending);
  }

  private stored({ batch, parts }: Pending): void {
    this.countTaken(batch.rows.length);
    this.waitingRows -= batch.rows.length;
    for (const { submission, pendingMessage, isLast } of parts) {
      this.placing = isLast ? null : pendingMessage;
      const isBuffered = this.buffered.has(pendingMessage);
      if (isLast) this.pendingMessages.stored(pendingMessage, submission.completeOn, isBuffered);
    }
  }

  private countTaken(rows: number): void {
    this.counters.taken += rows;
    this.counters.waiting += rows;
  }

  /** The queue has no room for all of it: its messages are tried one by one. */
  private refuseFull(pending: Pending, waiting: number): void {
    const { batch, parts } = pending;
    if (parts.length === 1) {
      const { submission, pendingMessage } = parts[0]!;
      if (submission.entries.length <= this.caps.queueMaxEntries && this.parts.takesOneMore()) {
        this.next.unshift({ ...pending, following: null });
        return;
      }
      this.next = this.next.filter((one) => one.parts[0]!.pendingMessage !== pendingMessage);
      this.waitingRows -= submission.entries.length;
      this.pendingMessages.end(pendingMessage, queueFullEnd(waiting, this.caps));
      return;
    }
    let at = 0;
    this.next = parts.flatMap((part) =>
      this.batchesOf({ ...part, rows: batch.rows.slice(at, (at += part.entries)) }),
    );
  }

  // ── To the local buffer ────────────────────────────────────────────────────────────────────────────────────────────

  /** Once: the pump may be about to, and a drain, too. */
  private async keepPending(pending: Pending): Promise<void> {
    pending.keeping ??= this.keepOnce(pending).finally(() => (pending.keeping = null));
    await pending.keeping;
  }

  private async keepOnce(pending: Pending): Promise<void> {
    const { localBuffer, common } = this.parts;
    const { stream, number, rows } = pending.batch;
    this.keeping += 1;
    const keep = localBuffer.keep(rows, pending.tried ? { stream, number } : null);
    const error = await keep.then(() => null, asQueueError);
    this.keeping -= 1;
    if (error !== null) {
      if (!this.bufferFails) common.log('error', error.message);
      this.bufferFails = true;
      // With `keeping` set, the hand-over would read the empty buffer again and again without a pause.
      await this.sleep(retryMs);
      return;
    }
    this.bufferFails = false;
    if (!this.buffering) {
      this.buffering = true;
      this.handOver();
    }
    this.pending = null;
    this.tookUnnumbered(pending);
    this.tellEarly();
  }

  /** Hands over what waits in the local buffer, until it is empty. */
  private handOver(): void {
    if (this.handingOver || this.closed) return;
    this.handingOver = true;
    void this.handOverAll().finally(() => {
      this.handingOver = false;
    });
  }

  private async handOverAll(): Promise<void> {
    const { localBuffer } = this.parts;
    let oneMore = false;
    while (!this.closed && this.buffering) {
      const { queueMaxEntries, queueMaxBytes } = this.caps;
      const caps = { maxEntries: queueMaxEntries, maxChars: queueMaxBytes };
      try {
        const result = await localBuffer.handOver(oneMore ? unbounded : caps);
        this.answered();
        // Whoever keeps something now comes after what was found empty.
        if (result.kind === 'empty' && this.keeping === 0) this.buffering = false;
        oneMore = result.kind === 'full' && this.parts.takesOneMore();
        if (result.kind === 'full' && !oneMore) await sleep(this.clock, handOverRetryMs);
      } catch (error) {
        this.failed(error);
        await sleep(this.clock, handOverRetryMs);
      }
    }
  }

  private failed(error: unknown): void {
    const trouble = asQueueError(error);
    // Whoever opens the log tells why it is not open. Closed here, it concerns nobody any more.
    const isNews = trouble.code !== 'closed' && this.trouble?.message !== trouble.message && !this.closed;
    if (isNews) this.parts.common.log('warn', trouble.message);
    this.trouble = trouble;
  }

  private answered(): void {
    if (this.trouble !== null) this.parts.common.log('info', 'The shared queue can be reached again.');
    this.trouble = null;
    this.failingSinceMs = null;
  }

  /** Ends early when something is to be done at once. */
  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.clock.after(ms, () => {
        this.wake = null;
        resolve();
      });
      this.wake = () => {
        cancel();
        this.wake = null;
        resolve();
      };
    });
  }

  // ── What comes of them ──────────────────────────────────────────────────────────────────────────────────────

  /** Entries that this process took, or a process that is gone, have ended. */
  report(outcomes: readonly Outcome[]): void {
    const due: Outcome[] = [];
    for (const outcome of outcomes) (this.isEarly(outcome) ? this.early : due).push(outcome);
    for (const outcome of due) this.countEnd(outcome);
    this.parts.common.reporter.report(due);
  }

  private isEarly({ seq }: Outcome): boolean {
    // The number of a batch that is on its way is not known yet.
    if (this.pending !== null && seq > this.lastSeq) return true;
    return this.placing !== null && this.pendingMessages.find(seq) === this.placing;
  }

  private tellEarly(): void {
    if (this.placing === null && this.early.length > 0) this.report(this.early.splice(0));
  }

  private countEnd(outcome: Omit<Outcome, 'seq'>): void {
    // Of a process that is gone: never counted as taken here.
    if (this.counters.waiting === 0) this.countTaken(1);
    this.counters.waiting -= 1;
    this.counters[endOf(outcome)] += 1;
  }

  /** A node closes: its messages end; what was taken stays queued. */
  closeNode(node: string): void {
    const isIts = ({ submission }: HandedIn): boolean => submission.source.node === node;
    const refused = this.waiting.filter(isIts);
    this.waiting = this.waiting.filter((one) => !isIts(one));
    for (const { submission } of refused) {
      this.waitingRows -= submission.entries.length;
      submission.onEnd(closedEnd);
    }
    this.pendingMessages.closeNode(
      node,
      this.onTheirWay().map(({ pendingMessage }) => pendingMessage),
    );
  }

  // ── Discarding on this machine ────────────────────────────────────────────────────────────────────────

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
      this.discarded(rows, userKeys === null ? 'purged' : 'erased');
    };
    if (userKeys === null) await localBuffer.purge(takenUntilMs, gone);
    else await localBuffer.erase(userKeys, takenUntilMs, gone);
    return entries;
  }

  /** Resolves when what was handed in before is in the log or in the local buffer. */
  async placed(): Promise<void> {
    const last = this.waiting.at(-1)?.submission ?? this.onTheirWay().at(-1)?.submission;
    // Without a local buffer there is nothing to wait for.
    while (last !== undefined && this.holds(last) && !this.bufferFails && !this.closed)
      await sleep(this.clock, 20);
  }

  private holds(submission: Submission): boolean {
    return (
      this.waiting.some((one) => one.submission === submission) ||
      this.onTheirWay().some((part) => part.submission === submission)
    );
  }

  /** What is in batches that are neither in the log nor in the local buffer. */
  private onTheirWay(): Part[] {
    return [...(this.pending?.parts ?? []), ...this.next.flatMap(({ parts }) => parts)];
  }

  /** Their messages have ended: those of a user who is erased are counted only, the others go to their nodes. */
  private discarded(rows: readonly Row[], why: Deletion): void {
    const rejection = { code: why, message: deletionTexts[why] };
    const ending = { seq: 0, rejection, acceptedBlocks: 0, expiredBlocks: 0, warnings: null };
    const outcomes = rows.map(({ body, source }): Outcome => ({
      ...ending,
      source,
      pendingMessage: null,
      entry: why === 'erased' ? null : readBody(body),
    }));
    for (const outcome of outcomes) this.countEnd(outcome);
    this.parts.common.reporter.report(outcomes.filter(({ entry }) => entry !== null || why === 'erased'));
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Resolves when nothing is on its way any more: what the log does not take within `maxMs` goes to the local buffer. */
  async drain(maxMs: number): Promise<void> {
    const untilMs = this.clock.monoMs() + maxMs;
    while (this.busy && this.clock.monoMs() < untilMs) await sleep(this.clock, 20);
    this.draining = true;
    for (this.pending ??= this.next.shift() ?? null; this.pending !== null;) {
      const pending: Pending = this.pending;
      await this.keepPending(pending);
      // The local buffer fails, too: it is tried again.
      if (this.pending === pending) break;
      this.pending ??= this.next.shift() ?? null;
    }
    this.draining = false;
    if (this.busy && !this.closed) this.askPump();
    this.parts.common.tally.flush();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.wake?.();
    for (const { submission } of this.waiting.splice(0)) submission.onEnd(closedEnd);
    for (const { pendingMessage } of this.onTheirWay()) {
      this.pendingMessages.end(pendingMessage, closedEnd);
    }
    this.next = [];
    this.pending = null;
    this.placing = null;
    this.tellEarly();
    this.parts.common.tally.flush();
    await this.parts.localBuffer.close().catch(() => undefined);
  }
}

function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}
