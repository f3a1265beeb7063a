// The faults that a hostile reading of the engine found, put back: their numbers are those of that reading.
import { Holder } from '../../../nodes/account/holder';
import { Crowd } from '../../../src/delivery/crowd';
import { Engine } from '../../../src/delivery/engine';
import { LeaseKeeper } from '../../../src/delivery/lease-keeper';
import { SharedQueue } from '../../../src/delivery/shared-queue';
import { LoginCount } from '../../../src/service/login-count';
import { ProcessTime } from '../world/process-time';
import { bug, replaced, replacedGetter, type Bug } from './bug';

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
            const left = original.call(this, node, ...rest);
            const isLast = this.users.size === 0;
            void lease?.engine.park(5_000);
            await left;
            if (!isLast) lease?.engine.unpark();
          },
      ),
    1,
  ),
  bug(
    'a post leaves after its engine was closed, under whatever lease there is',
    () => [
      replaced(
        LeaseKeeper,
        'mayPost',
        () =>
          function () {
            return this.epoch !== null && this.options.clock.monoMs() < this.validUntil.monoMs - 250;
          },
      ),
      replacedGetter(
        Engine,
        'mayLeave',
        () =>
          function () {
            return this.shared === null || this.shared.mayPost();
          },
      ),
    ],
    2,
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
  bug(
    'every new entry of a user looks at all that the user has',
    () =>
      replaced(
        Crowd,
        'admit',
        (original) =>
          function (item, hash, nowMs) {
            const user = original.call(this, item, hash, nowMs);
            for (const other of user.items) void other.settled;
            return user;
          },
      ),
    6,
  ),
  bug(
    'the clock stands still while the machine sleeps',
    () => {
      let sleptMs = (): number => 0;
      return [
        replaced(ProcessTime, 'sleptMs', (original) => {
          sleptMs = original;
          return () => 0;
        }),
        replaced(
          ProcessTime,
          'monoMs',
          (original) =>
            function () {
              return original.call(this) - sleptMs.call(this);
            },
        ),
        // The wall clock, which knows of the sleep, is not asked either.
        replaced(
          LeaseKeeper,
          'mayPost',
          () =>
            function (epoch) {
              return this.epoch === epoch && this.options.clock.monoMs() < this.validUntil.monoMs - 250;
            },
        ),
      ];
    },
    7,
  ),
  bug(
    'every connection counts its logins for itself',
    () =>
      replaced(
        LoginCount,
        'login',
        () =>
          function (authenticate) {
            return authenticate();
          },
      ),
    11,
  ),
];
