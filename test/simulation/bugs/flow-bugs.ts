// Bugs in what is sent when, how much is sent at once, and what stays in memory.
import { PendingUsers } from '../../../src/delivery/pending/pending-users';
import { Scheduler } from '../../../src/delivery/schedule/scheduler';
import { Sender } from '../../../src/delivery/sender';
import { CircuitBreaker } from '../../../src/delivery/schedule/circuit-breaker';
import { Loader } from '../../../src/delivery/loader';
import { Bisection } from '../../../src/delivery/schedule/bisection';
import { BatchBuilder } from '../../../src/delivery/schedule/batch-builder';
import { ReadAhead } from '../../../src/delivery/pending/read-ahead';
import { ReadyUsers } from '../../../src/delivery/schedule/ready';
import { Reports } from '../../../src/delivery/respond/reports';
import { User } from '../../../src/delivery/pending/user';
import { WarmUps } from '../../../src/delivery/pending/warm-ups';
import { Cipher } from '../../../src/queue/sqlite/encryption';
import { TokenKeeper } from '../../../src/service/login/tokens';
import { breaks, bug, replaced, replacedGetter, type Bug, type Inside } from './bug';

/** Adds in the ready queue come last, not in every fifth slot. */
function removalsOnly(this: Inside, original: (account: string) => unknown, account: string): unknown {
  const queue = this.byAccount.get(account)?.removal;
  queue?.dropStale();
  const user = queue?.shift();
  if (user === undefined) return original(account);
  this.forget(user);
  return user;
}

function withoutGrace(graceMs: number): () => () => void {
  return () =>
    replaced(Scheduler, 'lingers', function (original, accounts, nowMs, free) {
      if (graceMs === 0) return false;
      if (original(accounts, nowMs, free)) return true;
      return this.lingerSinceMs !== null && nowMs - this.lingerSinceMs < graceMs;
    });
}

export const flowBugs: readonly Bug[] = [
  // Promises 6 and 7.
  breaks('a flood of removals leaves adds nothing', ReadyUsers, 'shift', removalsOnly),
  bug('the scheduler lingers for 60 ms', () => [
    withoutGrace(60)(),
    replaced(Scheduler, 'nextAtMs', function (original, nowMs) {
      const atMs = original(nowMs) as number;
      return this.lingerSinceMs > 0 ? Math.max(atMs, Number(this.lingerSinceMs) + 60) : atMs;
    }),
  ]),
  bug('the scheduler never lingers, so that posts run out', withoutGrace(0)),
  breaks(
    'the scheduler lingers although most posts are free',
    Scheduler,
    'lingers',
    function (original, accounts, nowMs, free) {
      return original(accounts, nowMs, { ...free, posts: 0 });
    },
  ),

  // Content of one request, and a dry run.
  breaks('more goes into a body than it may hold', BatchBuilder, 'fit', (_original, blocks) => blocks.length),
  breaks(
    'all blocks of a user are sent in one request',
    User,
    'select',
    function (original, _limit, ...rest) {
      return original(Infinity, ...rest);
    },
  ),
  breaks('a dry run shows what newer entries cover', User, 'merge', function (original) {
    return this.entries[0]?.source.account === '' ? [] : original();
  }),
  breaks('a dry run does not shorten a late add', User, 'add', function (original, entry) {
    if (entry.source.account === '') entry.eventMonoMs = 0;
    original(entry);
  }),

  // Warm-ups.
  breaks('adds to a new segment do not wait for its warm-up', WarmUps, 'untilMs', () => -Infinity),
  breaks('a warm-up is forgotten when its process dies', WarmUps, 'load', () => Promise.resolve()),
  breaks('a flush sends adds in a warm-up', Sender, 'flush', function (original) {
    this.parts.warmUps.clear();
    original();
  }),
  breaks('every user waits during any warm-up', WarmUps, 'untilMs', function (_original, block, nowMs) {
    const latest = Math.max(...(this.until as Map<string, number>).values());
    return latest > nowMs && block.segBlock.expiration !== -1 ? latest : -Infinity;
  }),

  // The queue at rest.
  breaks(
    'user IDs are in plain text in an encrypted file',
    Cipher,
    'encryptRow',
    (_original, _hash, body) => body,
  ),
  bug('an encrypted queue finds no user again', () => {
    let drawn = 0;
    return replaced(Cipher, 'tagOf', () => (drawn += 1));
  }),
  breaks('the queue admits more than its limit', Loader, 'refusalOf', () => null),
  breaks('entries of a closed node are sent from memory', Loader, 'abandon', () => undefined),
  breaks('a row that ended during a read is taken once more', ReadAhead, 'rowEnded', () => undefined),

  // Failures.
  breaks('an expired token is used again', TokenKeeper, 'refused', () => undefined),
  bug('a service that is away is asked at full speed', () => [
    replacedGetter(CircuitBreaker, 'outage', () => false),
    replacedGetter(CircuitBreaker, 'closedUntilMs', function () {
      return this.asked.untilMs;
    }),
  ]),
  bug('bodies are sent at full speed while everything is refused', () =>
    replacedGetter(CircuitBreaker, 'refusesEverything', () => false),
  ),
  breaks('a bisection asks for its turn all the time', Bisection, 'nextAtMs', () => -Infinity),
  breaks(
    'an entry replaced by a rejected one counts as superseded',
    PendingUsers,
    'end',
    function (original, block, end, rejection) {
      if (end === 'rejected')
        for (const older of block.absorbed ?? [])
          if (older.state === 'absorbed' && !older.again) original(older, 'superseded', null);
      original(block, end, rejection);
    },
  ),

  // Memory.
  breaks(
    'every entry remembers all earlier entries of its user',
    PendingUsers,
    'admit',
    function (original, entry, hash, nowMs) {
      const user = original(entry, hash, nowMs);
      entry.before = [...user.entries];
      return user;
    },
  ),
  breaks('ended entries are never forgotten', Reports, 'entryEnded', function (original, entry) {
    original(entry);
    (this.all ??= []).push(entry);
  }),
];
