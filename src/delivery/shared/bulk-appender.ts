// Appends the bulk entries of synced segments to a shared log, with the state of their run: one batch for each chunk, under
// the fencing token of the sender. So a sender that has lost the lease appends nothing.

import { InTurn } from '../../in-turn';
import { hashUserKey } from '../../entry/keys';
import { queuedBody } from '../../entry/serialise';
import type { Batch, Instance, SharedLog } from '../../queue/shared-log';
import type { Common } from '../engine-options';
import type { FreshRow } from '../loader';
import { closedEnd, type MessageEnd } from '../pending-messages';
import { checkedOf, type BulkChunk, type Submission } from '../submission';
import { asQueueError, nothingEnd, queueFullEnd, storeEnd } from '../respond/not-accepted';
import { sleep } from './store-and-forward';

const retryMs = 250;

/** The sender for which a chunk is appended. */
export interface ChunkSender {
  readonly fencingToken: number;
  readonly isActive: () => boolean;
  readonly appended: (firstSeq: number, rows: readonly FreshRow[], bulk: BulkChunk) => void;
}

export class BulkAppender {
  /** A producer of its own, since its batch sequences are not those of messages. */
  private readonly producerId: string;
  private lastSequence = 0;
  private readonly turns = new InTurn();

  constructor(
    private readonly common: Pick<Common, 'settings' | 'caps' | 'log'>,
    private readonly log: SharedLog,
    private readonly instance: Instance,
  ) {
    this.producerId = `${instance.id} bulk`;
  }

  /** Ends the submission once the chunk is in the log, which has no outcome of its own. */
  append(submission: Submission, bulk: BulkChunk, sender: ChunkSender): void {
    void this.turns.run(async () => submission.onEnd(await this.appendOne(submission, bulk, sender)));
  }

  private async appendOne(submission: Submission, bulk: BulkChunk, sender: ChunkSender): Promise<MessageEnd> {
    const { common, log } = this;
    const rows = this.rowsOf(submission);
    const { segment, state: text } = bulk;
    const states = text === null ? [] : [{ segment, text }];
    this.lastSequence += 1;
    const batch: Batch = {
      producerId: this.producerId,
      batchSequence: this.lastSequence,
      instance: this.instance.id,
      rows,
      sync: { fencingToken: sender.fencingToken, states },
      maxEntries: common.caps.queueMaxEntries,
      maxChars: common.caps.queueMaxBytes,
    };
    let isFirstTry = true;
    // An append without an answer may have been carried out, so it is repeated until there is one.
    while (sender.isActive()) {
      try {
        const result = await log.append(batch);
        if (result.kind === 'full') return queueFullEnd(result.waiting, common.caps);
        if (result.kind === 'appended') sender.appended(result.firstSeq, rows, bulk);
        return nothingEnd;
      } catch (error) {
        const trouble = asQueueError(error);
        if (trouble.code === 'fenced') return storeEnd(trouble);
        if (isFirstTry) common.log('warn', trouble.message);
        isFirstTry = false;
        await sleep(common.settings.clock, retryMs);
      }
    }
    return closedEnd;
  }

  private rowsOf({ entries, source }: Submission): FreshRow[] {
    const { clock } = this.common.settings;
    const [wallMs, monoMs] = [clock.wallMs(), clock.monoMs()];
    const its = { ...source, instance: this.instance.id };
    return checkedOf(entries).map((entry) => ({
      lane: 'bulk',
      userHash: hashUserKey(entry.userKey),
      source: its,
      eventWallMs: wallMs,
      eventMonoMs: monoMs,
      appendedWallMs: wallMs,
      body: queuedBody(entry),
      entry,
    }));
  }
}
