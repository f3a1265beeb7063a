// Bugs of what leaves when, how much leaves at once, and what is kept of it.
import { Crowd } from '../../../src/delivery/crowd';
import { Dispatcher } from '../../../src/delivery/dispatcher';
import { Engine } from '../../../src/delivery/engine';
import { Gates } from '../../../src/delivery/gates';
import { Intake } from '../../../src/delivery/intake';
import { Isolation } from '../../../src/delivery/isolation';
import { Packer } from '../../../src/delivery/packer';
import { ReadyUsers } from '../../../src/delivery/ready';
import { Reports } from '../../../src/delivery/reports';
import { User } from '../../../src/delivery/user';
import { YoungSegments } from '../../../src/delivery/young';
import { Seal } from '../../../src/outbox/seal';
import { TokenKeeper } from '../../../src/service/tokens';
import { bug, replaced, replacedGetter, type Bug, type Inside } from './bug';

/** Adds of the queue of an account come last, not in every fifth place. */
function removalsOnly(this: Inside, account: string): unknown {
  const queues = this.byAccount.get(account);
  queues?.removal.dropStale();
  queues?.add.dropStale();
  const user = queues?.removal.shift() ?? queues?.add.shift() ?? null;
  if (user !== null) this.forget(user);
  return user;
}

function withoutGrace(graceMs: number): () => () => void {
  return () =>
    replaced(
      Dispatcher,
      'holds',
      (original) =>
        function (accounts, nowMs, free) {
          if (graceMs === 0) return false;
          if (original.call(this, accounts, nowMs, free)) return true;
          return this.heldSinceMs !== null && nowMs - this.heldSinceMs < graceMs;
        },
    );
}

export const flowBugs: readonly Bug[] = [
  // Promises 6 and 7.
  bug('a flood of removals leaves adds nothing', () => replaced(ReadyUsers, 'shift', () => removalsOnly)),
  bug('users are gathered for 60 ms', () => [
    withoutGrace(60)(),
    replaced(
      Dispatcher,
      'nextAtMs',
      (original) =>
        function (nowMs) {
          const atMs = original.call(this, nowMs) as number;
          return this.heldSinceMs > 0 ? Math.max(atMs, Number(this.heldSinceMs) + 60) : atMs;
        },
    ),
  ]),
  bug('users are never gathered, so that posts run out', withoutGrace(0)),
  bug('users are gathered although most posts are free', () =>
    replaced(
      Dispatcher,
      'holds',
      (original) =>
        function (accounts, nowMs, free) {
          return original.call(this, accounts, nowMs, { ...free, posts: 0 });
        },
    ),
  ),

  // What one request holds, and a dry run.
  bug('more goes into a body than it may hold', () => replaced(Packer, 'fit', () => (cells) => cells.length)),
  bug('all blocks of a user go in one request', () =>
    replaced(
      User,
      'select',
      (original) =>
        function (_limit, ...rest) {
          return original.call(this, Infinity, ...rest);
        },
    ),
  ),
  bug('a dry run shows what newer entries cover', () =>
    replaced(
      User,
      'merge',
      (original) =>
        function () {
          return this.items[0]?.source.account === '' ? [] : original.call(this);
        },
    ),
  ),
  bug('a dry run does not shorten what is late', () =>
    replaced(
      User,
      'add',
      (original) =>
        function (item) {
          if (item.source.account === '') item.bornMonoMs = 0;
          original.call(this, item);
        },
    ),
  ),

  // Segments that are too new.
  bug('adds to a segment that is too new do not wait', () =>
    replaced(YoungSegments, 'untilMs', () => () => -Infinity),
  ),
  bug('a segment that is too new is forgotten when its process dies', () =>
    replaced(YoungSegments, 'load', () => () => Promise.resolve()),
  ),
  bug('a flush sends what is to wait for its segment', () =>
    replaced(
      Engine,
      'flush',
      (original) =>
        function () {
          this.young.clear();
          original.call(this);
        },
    ),
  ),
  bug('every user waits while some segment is too new', () =>
    replaced(
      YoungSegments,
      'untilMs',
      () =>
        function (cell, nowMs) {
          const latest = Math.max(...(this.until as Map<string, number>).values());
          return latest > nowMs && cell.block.expiration !== -1 ? latest : -Infinity;
        },
    ),
  ),

  // The queue at rest.
  bug('user ids are in the file as they are, in spite of encryption', () =>
    replaced(Seal, 'sealRow', () => (_hash, body) => body),
  ),
  bug('an encrypted queue finds no user again', () => {
    let drawn = 0;
    return replaced(Seal, 'tagOf', () => () => (drawn += 1));
  }),
  bug('the queue takes more than it may hold', () => replaced(Intake, 'refusalOf', () => () => null)),
  bug('what is left of a closed node is sent from memory', () =>
    replaced(Intake, 'abandon', () => () => undefined),
  ),
  bug('what went ahead while a page was read is forgotten', () =>
    replaced(
      Crowd,
      'admitShields',
      (original) =>
        function (shields, touched, nowMs) {
          this.shieldsWhileReading = [];
          original.call(this, shields, touched, nowMs);
        },
    ),
  ),

  // Failures.
  bug('a dead token is used again', () => replaced(TokenKeeper, 'refused', () => () => undefined)),
  bug('a service that is away is asked at full speed', () => [
    replacedGetter(Gates, 'outage', () => () => false),
    replacedGetter(
      Gates,
      'closedUntilMs',
      () =>
        function () {
          return this.rateLimitedUntilMs;
        },
    ),
  ]),
  bug('bodies go on at full speed while everything is refused', () =>
    replacedGetter(Gates, 'refusesEverything', () => () => false),
  ),
  bug('a search asks for its turn all the time', () =>
    replaced(Isolation, 'nextAtMs', () => () => -Infinity),
  ),
  bug('what a rejected entry took the place of counts as superseded', () =>
    replaced(
      Crowd,
      'end',
      (original) =>
        function (cell, end, rejection) {
          if (end === 'rejected')
            for (const older of cell.absorbed ?? [])
              if (older.state === 'absorbed' && !older.again) original.call(this, older, 'superseded', null);
          original.call(this, cell, end, rejection);
        },
    ),
  ),

  // Memory.
  bug('every entry remembers all that its user had before', () =>
    replaced(
      Crowd,
      'admit',
      (original) =>
        function (item, hash, nowMs) {
          const user = original.call(this, item, hash, nowMs);
          item.before = [...user.items];
          return user;
        },
    ),
  ),
  bug('what has ended is never forgotten', () =>
    replaced(
      Reports,
      'entryEnded',
      (original) =>
        function (item) {
          original.call(this, item);
          (this.all ??= []).push(item);
        },
    ),
  ),
];
