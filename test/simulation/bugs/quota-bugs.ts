// Bugs that go over the quota.
import { Dispatcher } from '../../../src/delivery/dispatcher';
import { Engine } from '../../../src/delivery/engine';
import { Engines } from '../../../src/delivery/engines';
import { Gates } from '../../../src/delivery/gates';
import { Ledger } from '../../../src/delivery/ledger';
import { Outcomes } from '../../../src/delivery/outcomes';
import { Packer } from '../../../src/delivery/packer';
import { Wire } from '../../../src/delivery/wire';
import { ProcessTime } from '../world/process-time';
import { breaks, type Bug } from './bug';

export const quotaBugs: readonly Bug[] = [
  breaks(
    'the quota of a post is free a second after it was sent, not after its reply',
    Outcomes,
    'freeQuota',
    function (original, post, outcome, atMs) {
      original(post, outcome, outcome.kind === 'passing' ? atMs : post.sentMs);
    },
  ),
  breaks(
    'the quota of a lost post is free as if it had been answered',
    Ledger,
    'lose',
    function (_original, grant, nowMs) {
      this.settle(grant, nowMs, 0);
    },
  ),
  breaks(
    'the network’s own part of a reply is earned back twice',
    Ledger,
    'settle',
    function (original, grant, nowMs, floorMs) {
      original(grant, nowMs, 2 * floorMs);
    },
  ),
  breaks('the wall clock counts', ProcessTime, 'monoMs', function (original) {
    return Number(original()) + Number(this.wall.offsetMs);
  }),
  breaks('the first second after a start counts as free', Engine, 'start', function (original) {
    const { ledger } = this.dispatcher;
    ledger.thaw(Infinity);
    original();
  }),
  breaks('a failed post is tried again beside the quota', Wire, 'send', async function (original, post) {
    const outcome = await original(post);
    return outcome.kind === 'passing' ? original(post) : outcome;
  }),
  breaks('posts of the process before do not count', Ledger, 'inherit', () => undefined),
  breaks('a rate limit of the service is not waited for', Gates, 'rateLimited', () => undefined),
  breaks('every deploy has a new limiter', Engines, 'release', function (original, held, request, maxMs) {
    const released = original(held, request, maxMs);
    const { ledger } = held.engine.dispatcher ?? held.engine.engine?.dispatcher ?? {};
    ledger?.thaw(Infinity);
    return released;
  }),
  breaks(
    'more users than the quota has go in one post',
    Dispatcher,
    'fill',
    function (original, account, most, nowMs) {
      return original(account, most * 3, nowMs);
    },
  ),
  breaks('blocks of one entry go twice in a request', Packer, 'body', function (original) {
    const body = JSON.parse(original()) as { rt_segment: { seg_block: unknown[] }[] };
    for (const entry of body.rt_segment)
      if (entry.seg_block.length > 1) entry.seg_block.push(entry.seg_block[0]);
    return JSON.stringify(body);
  }),
];
