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
import { breaks, bug, replaced, replacedGetter, type Bug, type Inside } from './bug';

/** Adds of the queue of an account come last, not in every fifth place. */
function removalsOnly(this: Inside, _original: unknown, account: string): unknown {
  const queues = this.byAccount.get(account);
  queues?.removal.dropStale();
  queues?.add.dropStale();
  const user = queues?.removal.shift() ?? queues?.add.shift() ?? null;
  if (user !== null) this.forget(user);
  return user;
}

function withoutGrace(graceMs: number): () => () => void {
  return () =>
    replaced(Dispatcher, 'holds', function (original, accounts, nowMs, free) {
      if (graceMs === 0) return false;
      if (original(accounts, nowMs, free)) return true;
      return this.heldSinceMs !== null && nowMs - this.heldSinceMs < graceMs;
    });
}

export const flowBugs: readonly Bug[] = [
  // Promises 6 and 7.
  breaks('a flood of removals leaves adds nothing', ReadyUsers, 'shift', removalsOnly),
  bug('users are gathered for 60 ms', () => [
    withoutGrace(60)(),
    replaced(Dispatcher, 'nextAtMs', function (original, nowMs) {
      const atMs = original(nowMs) as number;
      return this.heldSinceMs > 0 ? Math.max(atMs, Number(this.heldSinceMs) + 60) : atMs;
    }),
  ]),
  bug('users are never gathered, so that posts run out', withoutGrace(0)),
  breaks(
    'users are gathered although most posts are free',
    Dispatcher,
    'holds',
    function (original, accounts, nowMs, free) {
      return original(accounts, nowMs, { ...free, posts: 0 });
    },
  ),

  // What one request holds, and a dry run.
  breaks('more goes into a body than it may hold', Packer, 'fit', (_original, cells) => cells.length),
  breaks('all blocks of a user go in one request', User, 'select', function (original, _limit, ...rest) {
    return original(Infinity, ...rest);
  }),
  breaks('a dry run shows what newer entries cover', User, 'merge', function (original) {
    return this.items[0]?.source.account === '' ? [] : original();
  }),
  breaks('a dry run does not shorten what is late', User, 'add', function (original, item) {
    if (item.source.account === '') item.bornMonoMs = 0;
    original(item);
  }),

  // Segments that are too new.
  breaks('adds to a segment that is too new do not wait', YoungSegments, 'untilMs', () => -Infinity),
  breaks('a segment that is too new is forgotten when its process dies', YoungSegments, 'load', () =>
    Promise.resolve(),
  ),
  breaks('a flush sends what is to wait for its segment', Engine, 'flush', function (original) {
    this.young.clear();
    original();
  }),
  breaks(
    'every user waits while some segment is too new',
    YoungSegments,
    'untilMs',
    function (_original, cell, nowMs) {
      const latest = Math.max(...(this.until as Map<string, number>).values());
      return latest > nowMs && cell.block.expiration !== -1 ? latest : -Infinity;
    },
  ),

  // The queue at rest.
  breaks(
    'user ids are in the file as they are, in spite of encryption',
    Seal,
    'sealRow',
    (_original, _hash, body) => body,
  ),
  bug('an encrypted queue finds no user again', () => {
    let drawn = 0;
    return replaced(Seal, 'tagOf', () => (drawn += 1));
  }),
  breaks('the queue takes more than it may hold', Intake, 'refusalOf', () => null),
  breaks('what is left of a closed node is sent from memory', Intake, 'abandon', () => undefined),
  breaks(
    'what went ahead while a page was read is forgotten',
    Crowd,
    'admitShields',
    function (original, shields, touched, nowMs) {
      this.shieldsWhileReading = [];
      original(shields, touched, nowMs);
    },
  ),

  // Failures.
  breaks('a dead token is used again', TokenKeeper, 'refused', () => undefined),
  bug('a service that is away is asked at full speed', () => [
    replacedGetter(Gates, 'outage', () => false),
    replacedGetter(Gates, 'closedUntilMs', function () {
      return this.rateLimitedUntilMs;
    }),
  ]),
  bug('bodies go on at full speed while everything is refused', () =>
    replacedGetter(Gates, 'refusesEverything', () => false),
  ),
  breaks('a search asks for its turn all the time', Isolation, 'nextAtMs', () => -Infinity),
  breaks(
    'what a rejected entry took the place of counts as superseded',
    Crowd,
    'end',
    function (original, cell, end, rejection) {
      if (end === 'rejected')
        for (const older of cell.absorbed ?? [])
          if (older.state === 'absorbed' && !older.again) original(older, 'superseded', null);
      original(cell, end, rejection);
    },
  ),

  // Memory.
  breaks(
    'every entry remembers all that its user had before',
    Crowd,
    'admit',
    function (original, item, hash, nowMs) {
      const user = original(item, hash, nowMs);
      item.before = [...user.items];
      return user;
    },
  ),
  breaks('what has ended is never forgotten', Reports, 'entryEnded', function (original, item) {
    original(item);
    (this.all ??= []).push(item);
  }),
];
