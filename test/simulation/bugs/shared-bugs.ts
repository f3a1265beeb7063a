// Bugs of the queue that several instances share.
import { LeaseKeeper } from '../../../src/delivery/lease-keeper';
import { SharedIntake } from '../../../src/delivery/shared-intake';
import { SharedQueue } from '../../../src/delivery/shared-queue';
import { Spool } from '../../../src/delivery/spool';
import { MemoryLogStore } from '../../outbox/memory-shared-log';
import { bug, replaced, type Bug } from './bug';

export const sharedBugs: readonly Bug[] = [
  bug('the fencing token of a commit is ignored', () =>
    replaced(MemoryLogStore, 'checkLease', () => () => undefined),
  ),
  bug('the lease counts from the answer on', () =>
    replaced(
      LeaseKeeper,
      'took',
      (original) =>
        function (claim) {
          original.call(this, claim, this.options.clock.monoMs());
        },
    ),
  ),
  bug('an engine goes on when its lease is lost', () =>
    replaced(
      SharedQueue,
      'stepDown',
      () =>
        function () {
          this.engine = null;
        },
    ),
  ),
  bug('a batch that may be in the queue is appended again under a new number', () =>
    replaced(
      Spool,
      'keep',
      (original) =>
        function (rows) {
          return original.call(this, rows, null);
        },
    ),
  ),
  bug('new entries are appended before those that are kept on the machine', () =>
    replaced(
      SharedIntake,
      'pump',
      () =>
        async function () {
          await this.opened;
          while (this.busy && !this.closed && !this.draining) {
            if (this.pending === null && this.next.length === 0) this.next = this.nextBatches();
            this.pending ??= this.next.shift()!;
            await this.appendPending(this.pending);
          }
        },
    ),
  ),
  bug('an append whose answer was lost is refused', () =>
    replaced(
      SharedIntake,
      'keepPending',
      () =>
        function (pending) {
          this.pending = null;
          for (const { ticket } of pending.parts)
            ticket.endEarly({ kind: 'failed', code: 'outbox', message: '', params: {} });
          return Promise.resolve();
        },
    ),
  ),
  bug('outcomes that come before the number of their batch are overlooked', () =>
    replaced(
      SharedIntake,
      'tellEarly',
      () =>
        function () {
          this.early = [];
        },
    ),
  ),
  bug('outcomes of entries that another instance took are told to nobody', () =>
    replaced(
      MemoryLogStore,
      'send',
      (original) =>
        function (to, kind, text) {
          if (kind !== 'ended') original.call(this, to, kind, text);
        },
    ),
  ),
];
