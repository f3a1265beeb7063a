// The faults that a hostile reading of the engine found, put back: their numbers are those of that reading.
import { Holder } from '../../../nodes/account/holder';
import { SharedQueue } from '../../../src/delivery/shared-queue';
import { bug, replaced, type Bug } from './bug';

export const readingBugs: readonly Bug[] = [
  bug(
    'an account that leaves parks the engine of those that stay',
    () =>
      replaced(
        Holder,
        'leave',
        (original) =>
          async function (node, ...rest) {
            const lease = this.leases.get(node);
            await original.call(this, node, ...rest);
            await lease?.engine.park(5_000);
          },
      ),
    1,
  ),
  bug(
    'closing a queue waits for the fate of its last commit',
    () =>
      replaced(
        SharedQueue,
        'close',
        (original) =>
          async function () {
            await this.lease.release();
            await this.engineClosing;
            await original.call(this);
          },
      ),
    3,
  ),
];
