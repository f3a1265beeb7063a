// What waits of an account in a shared queue that nobody uses, moved away as from a queue on disk: by the holder of the lease.

import { randomUUID } from 'node:crypto';

import { moveAway, type Moved, type TakeMoved } from '../queue/orphaned-queue';
import { QueueError, type QueueStore } from '../queue/store';
import type { SharedLog } from '../queue/shared-log';
import { LocalBuffer } from './shared/local-buffer';

/** Renewed before each page. */
const leaseMs = 30_000;

/**
 * As `moveAway`. What was kept on this machine goes to the log first, since it is newer. Rejects with a QueueError,
 * `locked` while another process uses the queue.
 *
 * @param kept the store of what was kept; null for none
 * @param name of this process, for people
 */
export async function moveAwayShared(
  log: SharedLog,
  kept: QueueStore | null,
  name: string,
  account: string,
  take: TakeMoved,
): Promise<Moved> {
  const instance = { id: randomUUID(), name };
  await log.open();
  try {
    const { instances } = await log.claim(instance, false, null, leaseMs);
    const others = instances.filter(({ id }) => id !== instance.id);
    if (others.length > 0)
      throw new QueueError('locked', `It is used by ${others.map((other) => other.name).join(', ')}.`);
    const { fencingToken, ours } = await log.claim(instance, true, null, leaseMs);
    if (!ours) throw new QueueError('locked', 'Another instance began to send from it.');
    if (kept !== null) await handOver(new LocalBuffer(kept, log, instance.id));
    const result = await moveAway(log.store(instance, fencingToken), account, async (rows) => {
      const claim = await log.claim(instance, true, fencingToken, leaseMs);
      if (!claim.ours || claim.fencingToken !== fencingToken)
        throw new QueueError('fenced', 'Another instance began to send from it.');
      return take(rows);
    });
    await log.release(instance, fencingToken);
    return result;
  } finally {
    await log.close(instance);
  }
}

async function handOver(localBuffer: LocalBuffer): Promise<void> {
  try {
    const caps = { maxEntries: Infinity, maxChars: Infinity };
    while ((await localBuffer.handOver(caps)).kind !== 'empty');
  } finally {
    await localBuffer.close();
  }
}
