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
import { bug, replaced, type Bug } from './bug';

export const quotaBugs: readonly Bug[] = [
  bug('the quota of a post is free a second after it was sent, not after its reply', () =>
    replaced(
      Outcomes,
      'freeQuota',
      (original) =>
        function (post, outcome, atMs) {
          original.call(this, post, outcome, outcome.kind === 'passing' ? atMs : post.sentMs);
        },
    ),
  ),
  bug('the quota of a lost post is free as if it had been answered', () =>
    replaced(
      Ledger,
      'lose',
      () =>
        function (grant, nowMs) {
          this.settle(grant, nowMs, 0);
        },
    ),
  ),
  bug('the network’s own part of a reply is earned back twice', () =>
    replaced(
      Ledger,
      'settle',
      (original) =>
        function (grant, nowMs, floorMs) {
          original.call(this, grant, nowMs, 2 * floorMs);
        },
    ),
  ),
  bug('the wall clock counts', () =>
    replaced(
      ProcessTime,
      'monoMs',
      (original) =>
        function () {
          return Number(original.call(this)) + Number(this.wall.offsetMs);
        },
    ),
  ),
  bug('the first second after a start counts as free', () =>
    replaced(
      Engine,
      'start',
      (original) =>
        function () {
          const { ledger } = this.dispatcher;
          ledger.thaw(Infinity);
          original.call(this);
        },
    ),
  ),
  bug('a failed post is tried again beside the quota', () =>
    replaced(
      Wire,
      'send',
      (original) =>
        async function (post) {
          const outcome = await original.call(this, post);
          return outcome.kind === 'passing' ? original.call(this, post) : outcome;
        },
    ),
  ),
  bug('posts of the process before do not count', () => replaced(Ledger, 'inherit', () => () => undefined)),
  bug('a rate limit of the service is not waited for', () =>
    replaced(Gates, 'rateLimited', () => () => undefined),
  ),
  bug('every deploy has a new limiter', () =>
    replaced(
      Engines,
      'release',
      (original) =>
        function (held, request, maxMs) {
          const released = original.call(this, held, request, maxMs);
          const { ledger } = held.engine.dispatcher ?? held.engine.engine?.dispatcher ?? {};
          ledger?.thaw(Infinity);
          return released;
        },
    ),
  ),
  bug('more users than the quota has go in one post', () =>
    replaced(
      Dispatcher,
      'fill',
      (original) =>
        function (account, most, nowMs) {
          return original.call(this, account, most * 3, nowMs);
        },
    ),
  ),
  bug('blocks of one entry go twice in a request', () =>
    replaced(
      Packer,
      'body',
      (original) =>
        function () {
          const body = JSON.parse(original.call(this)) as { rt_segment: { seg_block: unknown[] }[] };
          for (const entry of body.rt_segment)
            if (entry.seg_block.length > 1) entry.seg_block.push(entry.seg_block[0]);
          return JSON.stringify(body);
        },
    ),
  ),
];
