// The batches in which an instance appends its messages to a shared log.
//
// A message that is too large for a batch is in several, one after the other, and ends when the last of them is in the
// log or in the local buffer. Before the first one the queue must have room for all of them, so that all or none of it is
// taken; the others then go in whatever other processes have appended meanwhile.

import { batchesOf, charsOf } from '../../queue/batches';
import type { Batch } from '../../queue/shared-log';
import type { FreshRow } from '../loader';
import type { Taken as TakenMessage } from '../producer';
import type { QueueCaps } from '../respond/not-accepted';
import { unbounded } from './store-and-forward';

/** A message with its rows. */
export type Taken = TakenMessage<FreshRow[]>;

/** What a batch has of a message. */
interface Part {
  readonly taken: Taken;
  readonly entries: number;
}

export interface MessageBatch {
  readonly batch: Pick<Batch, 'producerId' | 'batchSequence' | 'instance'> & {
    readonly rows: readonly FreshRow[];
  };
  readonly parts: readonly Part[];
  /** What follows of its message, for which the queue must have room, too; null for what follows itself. */
  readonly following: { readonly rows: number; readonly chars: number } | null;
  /** It was handed to the log, which may have it. */
  tried: boolean;
  /** Until it is in the local buffer, or could not be written there. */
  keeping: Promise<void> | null;
}

export class MessageBatches {
  private lastSequence = 0;

  constructor(private readonly instance: string) {}

  /** One of all these messages, unless they are too large for it. */
  of(taken: readonly Taken[]): MessageBatch[] {
    const rows = taken.flatMap(({ state }) => state);
    if (rows.length === 0) return [];
    if (batchesOf(rows).length > 1) return taken.flatMap((one) => this.ofOne(one));
    const parts = taken.map((one): Part => ({ taken: one, entries: one.rows }));
    return [this.numbered(rows, { parts, following: { rows: 0, chars: 0 } })];
  }

  /** A message by itself, in as many batches as it takes. */
  ofOne(taken: Taken): MessageBatch[] {
    const batches = batchesOf(taken.state);
    const after = taken.state.slice(batches[0]!.length);
    const following = { rows: after.length, chars: charsOf(after) };
    return batches.map((batch, at) => {
      const parts = [{ taken, entries: batch.length }];
      return this.numbered(batch, { parts, following: at === 0 ? following : null });
    });
  }

  private numbered(rows: readonly FreshRow[], its: Pick<MessageBatch, 'parts' | 'following'>): MessageBatch {
    this.lastSequence += 1;
    const { instance } = this;
    const batch = { producerId: instance, batchSequence: this.lastSequence, instance, rows };
    return { batch, ...its, tried: false, keeping: null };
  }
}

/** How full the log may be that takes it. */
export function roomFor(
  { following }: MessageBatch,
  caps: QueueCaps,
): Pick<Batch, 'maxEntries' | 'maxChars'> {
  if (following === null) return unbounded;
  const { queueMaxEntries, queueMaxBytes } = caps;
  return { maxEntries: queueMaxEntries - following.rows, maxChars: queueMaxBytes - following.chars };
}
