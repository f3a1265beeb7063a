// Bugs that exceed the quota.
import { Scheduler } from '../../../src/delivery/schedule/scheduler';
import { Sender } from '../../../src/delivery/sender';
import { Registry } from '../../../src/delivery/registry';
import { CircuitBreaker } from '../../../src/delivery/schedule/circuit-breaker';
import { RateLimiter } from '../../../src/delivery/schedule/rate-limiter';
import { Outcomes } from '../../../src/delivery/respond/outcomes';
import { BatchBuilder } from '../../../src/delivery/schedule/batch-builder';
import { RequestsInFlight } from '../../../src/delivery/schedule/requests-in-flight';
import { ProcessTime } from '../world/process-time';
import { breaks, type Bug } from './bug';

export const quotaBugs: readonly Bug[] = [
  breaks(
    'the quota of a post is free a second after it was sent, not after its reply',
    Outcomes,
    'freeQuota',
    function (original, post, outcome, atMs) {
      original(post, outcome, outcome.kind === 'retriable' ? atMs : post.sentMs);
    },
  ),
  breaks(
    'the quota of an ambiguous post is freed as if it had been answered',
    RateLimiter,
    'settleAmbiguous',
    function (_original, permit, nowMs) {
      this.settle(permit, nowMs, 0);
    },
  ),
  breaks(
    'the network’s own part of a reply is deducted twice',
    RateLimiter,
    'settle',
    function (original, permit, nowMs, floorMs) {
      original(permit, nowMs, 2 * floorMs);
    },
  ),
  breaks('the wall clock counts', ProcessTime, 'monoMs', function (original) {
    return Number(original()) + Number(this.wall.offsetMs);
  }),
  breaks('the first second after a start counts as free', Sender, 'start', function (original) {
    const { rateLimiter } = this.parts.scheduler;
    rateLimiter.freeDue(Infinity);
    original();
  }),
  breaks(
    'a failed post is tried again without quota',
    RequestsInFlight,
    'send',
    async function (original, post) {
      const outcome = await original(post);
      return outcome.kind === 'retriable' ? original(post) : outcome;
    },
  ),
  breaks('posts of the previous process do not count', RateLimiter, 'recover', () => undefined),
  breaks('a rate limit of the service is not waited for', CircuitBreaker, 'rateLimited', () => undefined),
  breaks('every deploy has a new limiter', Registry, 'release', function (original, held, request, maxMs) {
    const released = original(held, request, maxMs);
    held.engine.sender?.parts.scheduler.rateLimiter.freeDue(Infinity);
    return released;
  }),
  breaks(
    'one post carries more users than the quota',
    Scheduler,
    'fill',
    function (original, account, most, nowMs) {
      return original(account, most * 3, nowMs);
    },
  ),
  breaks('blocks of one entry are sent twice in a request', BatchBuilder, 'body', function (original) {
    const body = JSON.parse(original()) as { rt_segment: { seg_block: unknown[] }[] };
    for (const entry of body.rt_segment)
      if (entry.seg_block.length > 1) entry.seg_block.push(entry.seg_block[0]);
    return JSON.stringify(body);
  }),
];
