// Bugs of the shared queue.
import type { Clock } from '../../../src/clock';
import { leaseMs, LeaseKeeper } from '../../../src/delivery/shared/lease-keeper';
import { SharedProducer } from '../../../src/delivery/shared/shared-producer';
import { SharedQueue } from '../../../src/delivery/shared/shared-queue';
import { LocalBuffer } from '../../../src/delivery/shared/local-buffer';
import { MemoryLogStore } from '../../queue/memory-shared-log';
import { breaks, type Bug } from './bug';

export const sharedBugs: readonly Bug[] = [
  breaks('the fencing token of a commit is ignored', MemoryLogStore, 'checkLease', () => undefined),
  breaks('the lease counts from the reply', LeaseKeeper, 'took', function (original, claim) {
    const { clock } = this.options as { readonly clock: Clock };
    original(claim, { monoMs: clock.monoMs() + leaseMs, wallMs: clock.wallMs() + leaseMs });
  }),
  breaks('an engine continues when its lease is lost', SharedQueue, 'stepDown', function () {
    this.sender = null;
  }),
  breaks(
    'a batch that may be in the queue is appended again under a new number',
    LocalBuffer,
    'keep',
    function (original, rows) {
      return original(rows, null);
    },
  ),
  breaks('new entries are appended before those in the buffer', SharedProducer, 'pump', function (original) {
    Object.defineProperty(this.way, 'buffering', {
      get: () => false,
      set: () => undefined,
      configurable: true,
    });
    return original();
  }),
  breaks(
    'an append with a lost answer is refused',
    SharedProducer,
    'keepPending',
    function (_original, pending) {
      this.pending = null;
      for (const { taken } of pending.parts)
        this.producer.notStored(taken, { kind: 'failed', code: 'outbox', message: '', params: {} });
      return Promise.resolve();
    },
  ),
  breaks(
    'outcomes that arrive before the numbers of their batch are ignored',
    SharedProducer,
    'tellEarly',
    function () {
      this.early = [];
    },
  ),
  breaks('outcomes for other instances are not stored', MemoryLogStore, 'storeOutcomes', () => undefined),
];
