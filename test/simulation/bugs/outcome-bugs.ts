// Bugs that lose entries, or report a wrong outcome.
import { NodeListeners } from '../../../src/delivery/respond/node-listeners';
import { PendingUsers } from '../../../src/delivery/pending/pending-users';
import { Scheduler } from '../../../src/delivery/schedule/scheduler';
import { Sender } from '../../../src/delivery/sender';
import { Turns } from '../../../src/delivery/turns';
import { Producer } from '../../../src/delivery/producer';
import { CommitBuffer } from '../../../src/delivery/commit-buffer';
import { Outcomes } from '../../../src/delivery/respond/outcomes';
import { Reports } from '../../../src/delivery/respond/reports';
import { PendingMessage } from '../../../src/delivery/pending-messages';
import { breaks, bug, replaced, replacedGetter, type Bug } from './bug';

export const outcomeBugs: readonly Bug[] = [
  breaks('entries are acknowledged before the reply', Turns, 'depart', function (original, nowMs) {
    original(nowMs);
    for (const { users } of this.departing)
      for (const { blocks } of users)
        for (const { entry } of blocks) this.parts.commitBuffer.mark(entry.seq, 'remove');
  }),
  breaks(
    'a message ends at queued before its commit',
    Producer,
    'takeSome',
    function (original, taken, mostBlocks) {
      const blocks = original(taken, mostBlocks);
      if (this.partlyTaken === null && taken.handedIn.submission.completeOn === 'queued')
        this.common.pendingMessages.stored(taken.pendingMessage, 'queued');
      return blocks;
    },
  ),
  breaks('a post is sent before its in-flight record is committed', Turns, 'commit', function (original) {
    for (const post of this.departing.splice(0)) this.parts.requestsInFlight.launch(post);
    original();
  }),
  breaks('ends are reported before they are durable', Turns, 'commit', function (original) {
    this.parts.reports.reportEnded();
    original();
  }),
  breaks(
    'the ends of a failed commit are forgotten',
    CommitBuffer,
    'putBack',
    function (original, { repeat: _repeat, remove: _remove, ...rest }) {
      original(rest);
    },
  ),
  breaks('a paused queue continues to send', Sender, 'setPaused', function (original, paused) {
    if (paused !== true) original(paused);
  }),
  bug('a message that ended at queued is told once more when its entries end', () => [
    replacedGetter(PendingMessage, 'isOpen', function () {
      return this.open > 0;
    }),
    replaced(PendingMessage, 'end', function (_original, end) {
      this.ended = true;
      this.onEnd(end);
    }),
  ]),
  breaks('an entry counts as ended twice', Reports, 'entryEnded', function (original, entry) {
    original(entry);
    if (entry.blocks.length > 2) (this.counters as { accepted: number }).accepted += 1;
  }),
  breaks(
    'an entry reported as accepted counts as superseded',
    Reports,
    'entryEnded',
    function (original, entry) {
      const counters = this.counters as { accepted: number; superseded: number };
      const { accepted } = counters;
      original(entry);
      if (counters.accepted === accepted || entry.blocks.length < 2) return;
      counters.accepted -= 1;
      counters.superseded += 1;
    },
  ),
  breaks(
    'an expired entry is reported as accepted, and another as superseded',
    PendingMessage,
    'summary',
    function (original) {
      const { expired, superseded, ...others } = original() as { expired: number; superseded: number };
      return expired === 0
        ? { expired, superseded, ...others }
        : { expired: expired - 1, superseded: superseded + 1, ...others };
    },
  ),
  breaks(
    'late outcomes are lost during a deploy of their node',
    NodeListeners,
    'listen',
    function (original, node, listener) {
      this.absent.delete(node);
      original(node, listener);
    },
  ),
  breaks('a deleted entry is sent', PendingUsers, 'deleteEntry', () => undefined),
  breaks(
    'an entry is rejected although nothing was accepted since',
    Outcomes,
    'searchUser',
    function (original, packed, outcome, nowMs) {
      this.parts.circuitBreaker.acceptedSentMs = Infinity;
      original(packed, outcome, nowMs);
    },
  ),
  breaks(
    'a whole batch is rejected for one bad entry',
    Outcomes,
    'bodyRefused',
    function (_original, post, outcome) {
      for (const { blocks } of post.users)
        for (const block of blocks)
          if (block.state === 'waiting') this.parts.pendingUsers.reject(block, outcome.code, outcome.message);
    },
  ),
  breaks('one refused login holds back all accounts', Scheduler, 'accountsReady', function (original) {
    const isReady = (account: string): boolean => this.logins.isReady(account);
    return this.logins.accounts().every(isReady) ? original() : [];
  }),
  breaks('a backoff never ends', PendingUsers, 'takeDue', () => undefined),
];
