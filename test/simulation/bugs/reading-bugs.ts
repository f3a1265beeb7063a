// Bugs that a review of the engine found, put back.
import { Holder } from '../../../nodes/account/holder';
import { PendingUsers } from '../../../src/delivery/pending/pending-users';
import { Turns } from '../../../src/delivery/turns';
import { LeaseKeeper } from '../../../src/delivery/shared/lease-keeper';
import { SharedQueue } from '../../../src/delivery/shared/shared-queue';
import { LoginCount } from '../../../src/service/login/login-count';
import { ProcessTime } from '../world/process-time';
import { breaks, bug, replaced, replacedGetter, type Bug } from './bug';

export const readingBugs: readonly Bug[] = [
  breaks(
    'an account that is removed parks the engine of the others',
    Holder,
    'leave',
    async function (original, node, ...rest) {
      const lease = this.leases.get(node);
      const left = original(node, ...rest);
      const isLast = this.users.size === 0;
      void lease?.engine.park(5_000);
      await left;
      if (!isLast) lease?.engine.unpark();
    },
  ),
  bug('a post is sent after its engine was closed, under any lease', () => [
    replaced(LeaseKeeper, 'mayPost', function () {
      return this.fencingToken !== null && this.options.clock.monoMs() < this.validUntil.monoMs - 250;
    }),
    replacedGetter(Turns, 'mayLeave', function () {
      return this.parts.lease.mayPost();
    }),
  ]),
  breaks(
    'closing a queue waits for the result of its last commit',
    SharedQueue,
    'close',
    async function (original) {
      await this.lease.release();
      await this.senderClosing;
      await original();
    },
  ),
  breaks(
    'every new entry of a user visits all its other entries',
    PendingUsers,
    'admit',
    function (original, entry, hash, nowMs) {
      const user = original(entry, hash, nowMs);
      for (const other of user.entries) void other.done;
      return user;
    },
  ),
  bug('the clock stands still while the machine sleeps', () => [
    replaced(ProcessTime, 'sleptMs', () => 0),
    replaced(ProcessTime, 'monoMs', function () {
      return 1_000 + Number(this.ranMs());
    }),
    // The wall clock, which counts the sleep, is not read either.
    replaced(LeaseKeeper, 'mayPost', function (_original, token) {
      return this.fencingToken === token && this.options.clock.monoMs() < this.validUntil.monoMs - 250;
    }),
  ]),
  breaks(
    'every connection counts its logins separately',
    LoginCount,
    'login',
    function (_original, authenticate) {
      return authenticate();
    },
  ),
];
