// The way to a shared log: while that does not answer, batches go to the buffer on this machine, also the one whose fate is
// not known; new ones stay behind what waits there until all of it has been handed over.

import type { Appended, Batch, SharedLog, SharedRow } from '../../queue/shared-log';
import type { QueueError } from '../../queue/store';
import { within, type Clock } from '../../clock';
import type { Common } from '../engine-options';
import { asQueueError } from '../respond/not-accepted';
import type { Doubt, LocalBuffer } from './local-buffer';

export interface StoreAndForwardParts {
  readonly common: Pick<Common, 'settings' | 'caps' | 'log'>;
  readonly log: SharedLog;
  readonly localBuffer: LocalBuffer;
  /** Whether the full log takes what is handed over at once all the same: see `partsOf`. */
  readonly takesOneMore: () => boolean;
}

export const unbounded = { maxEntries: Infinity, maxChars: Infinity };
const retryMs = 250;
/** Once the log has failed for so long, entries are kept on this machine. */
const bufferAfterMs = 2_000;
const handOverRetryMs = 1_000;
const openRetryMs = 1_000;
/** How long new entries wait for a buffer that cannot be opened. */
const longestOpenMs = 30_000;

export class StoreAndForward {
  /** Why the log does not answer; null while it does, as far as is known. */
  trouble: QueueError | null = null;
  /** Everything goes to the buffer first. */
  buffering = false;
  bufferFails = false;
  private keeping = 0;
  private handingOver = false;
  private failingSinceMs: number | null = null;
  private closed = false;
  /** Ends each pause that is under way: the pump and a drain may both have one. */
  private readonly wakes = new Set<() => void>();

  constructor(private readonly parts: StoreAndForwardParts) {}

  private get clock(): Clock {
    return this.parts.common.settings.clock;
  }

  /**
   * Opens the buffer, calls `found` with the number of entries that an earlier process left there, and begins to hand them over.
   * Resolves then, or after a while: new entries belong behind those, but do not wait long for a buffer that cannot be opened.
   */
  async open(found: (entries: number) => void): Promise<void> {
    await within(this.clock, longestOpenMs, this.openBuffer(found));
  }

  private async openBuffer(found: (entries: number) => void): Promise<void> {
    const { localBuffer, common } = this.parts;
    while (!this.closed) {
      const error = await localBuffer.open().then(() => null, asQueueError);
      if (error === null) {
        this.bufferFails = false;
        found(localBuffer.found);
        if (localBuffer.waiting > 0) this.startBuffering();
        return;
      }
      if (!this.bufferFails) common.log('error', error.message);
      this.bufferFails = true;
      await sleep(this.clock, openRetryMs);
    }
  }

  /** The log has failed for so long that entries are to be kept on this machine. */
  get isAway(): boolean {
    return this.failingSinceMs !== null && this.clock.monoMs() - this.failingSinceMs >= bufferAfterMs;
  }

  /** Null: it did not answer, and may have the batch. */
  async append(batch: Batch): Promise<Appended | null> {
    const startedMs = this.clock.monoMs();
    try {
      const result = await this.parts.log.append(batch);
      this.answered();
      return result;
    } catch (error) {
      this.failed(error);
      this.failingSinceMs ??= startedMs;
      return null;
    }
  }

  /** Resolves to whether they are in the buffer, after a while if they are not. `doubt`: they were on their way to the log. */
  async keep(rows: readonly SharedRow[], doubt: Doubt | null): Promise<boolean> {
    const { localBuffer, common } = this.parts;
    this.keeping += 1;
    const error = await localBuffer.keep(rows, doubt).then(() => null, asQueueError);
    this.keeping -= 1;
    if (error !== null) {
      if (!this.bufferFails) common.log('error', error.message);
      this.bufferFails = true;
      // Counted in `keeping`, the hand-over would read the empty buffer again and again without a pause.
      await this.pause();
      return false;
    }
    this.bufferFails = false;
    this.startBuffering();
    return true;
  }

  private startBuffering(): void {
    this.buffering = true;
    if (this.handingOver || this.closed) return;
    this.handingOver = true;
    void this.handOverAll().finally(() => {
      this.handingOver = false;
    });
  }

  /** Hands over what waits in the buffer, until it is empty. */
  private async handOverAll(): Promise<void> {
    const { localBuffer, common } = this.parts;
    let oneMore = false;
    while (!this.closed && this.buffering) {
      const { queueMaxEntries: maxEntries, queueMaxBytes: maxChars } = common.caps;
      try {
        const result = await localBuffer.handOver(oneMore ? unbounded : { maxEntries, maxChars });
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

  /** The log answers somebody: what waits for a next try need not. */
  retryNow(): void {
    if (this.trouble !== null) this.wake();
  }

  /** Before another try; ends early when something is to be done at once. */
  pause(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        this.wakes.delete(wake);
        resolve();
      };
      const cancel = this.clock.after(retryMs, wake);
      this.wakes.add(wake);
    });
  }

  private wake(): void {
    for (const wake of this.wakes) wake();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.wake();
    await this.parts.localBuffer.close().catch(() => undefined);
  }
}

export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}
