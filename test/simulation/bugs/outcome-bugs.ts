// Bugs that lose entries, or tell what is not so.
import { Absentees } from '../../../src/delivery/absentees';
import { Crowd } from '../../../src/delivery/crowd';
import { Dispatcher } from '../../../src/delivery/dispatcher';
import { Engine } from '../../../src/delivery/engine';
import { Intake } from '../../../src/delivery/intake';
import { Journal } from '../../../src/delivery/journal';
import { Outcomes } from '../../../src/delivery/outcomes';
import { Reports } from '../../../src/delivery/reports';
import { Ticket } from '../../../src/delivery/tickets';
import { bug, replaced, replacedGetter, type Bug } from './bug';

export const outcomeBugs: readonly Bug[] = [
  bug('entries are acknowledged before the reply', () =>
    replaced(
      Engine,
      'depart',
      (original) =>
        function (nowMs) {
          original.call(this, nowMs);
          for (const { users } of this.departing)
            for (const { cells } of users)
              for (const { item } of cells) this.journal.mark(item.seq, 'remove');
        },
    ),
  ),
  bug('a message ends at queued before its commit', () =>
    replaced(
      Intake,
      'takeOne',
      (original) =>
        function (handedIn, nowMs) {
          original.call(this, handedIn, nowMs);
          if (handedIn.submission.completeOn === 'queued') this.committed();
        },
    ),
  ),
  bug('a post leaves before the commit that notes it', () =>
    replaced(
      Engine,
      'commit',
      (original) =>
        function () {
          for (const post of this.departing.splice(0)) this.wire.launch(post);
          original.call(this);
        },
    ),
  ),
  bug('ends are told before they are durable', () =>
    replaced(
      Engine,
      'commit',
      (original) =>
        function () {
          this.reports.tell();
          original.call(this);
        },
    ),
  ),
  bug('the ends of a failed commit are forgotten', () =>
    replaced(
      Journal,
      'putBack',
      (original) =>
        function ({ repeat: _repeat, shield: _shield, remove: _remove, ...rest }) {
          original.call(this, rest);
        },
    ),
  ),
  bug('a paused queue sends on', () => replaced(Engine, 'pause', () => () => undefined)),
  bug('a message that ended at queued is told once more when its entries end', () => [
    replacedGetter(
      Ticket,
      'isOpen',
      () =>
        function () {
          return this.open > 0;
        },
    ),
    replaced(
      Ticket,
      'end',
      () =>
        function (end) {
          this.ended = true;
          this.onEnd(end);
        },
    ),
  ]),
  bug('an entry counts as ended twice', () =>
    replaced(
      Reports,
      'entryEnded',
      (original) =>
        function (item) {
          original.call(this, item);
          if (item.cells.length > 2) (this.counters as { accepted: number }).accepted += 1;
        },
    ),
  ),
  bug('what is told as accepted counts as superseded', () =>
    replaced(
      Reports,
      'entryEnded',
      (original) =>
        function (item) {
          const counters = this.counters as { accepted: number; superseded: number };
          const { accepted } = counters;
          original.call(this, item);
          if (counters.accepted === accepted || item.cells.length < 2) return;
          counters.accepted -= 1;
          counters.superseded += 1;
        },
    ),
  ),
  bug('an expired entry is told as accepted, and one more as superseded', () =>
    replaced(
      Ticket,
      'entryEnded',
      (original) =>
        function (item) {
          if (item.expiredBlocks > 0) this.superseded = Number(this.superseded) + 1;
          return original.call(this, item);
        },
    ),
  ),
  bug('what ends while a node is deployed is lost to it', () =>
    replaced(
      Absentees,
      'listen',
      (original) =>
        function (node, listener) {
          this.absent.delete(node);
          original.call(this, node, listener);
        },
    ),
  ),
  bug('what was given up is sent all the same', () => replaced(Crowd, 'dismiss', () => () => undefined)),
  bug('an entry is rejected although nothing was accepted since', () =>
    replaced(
      Outcomes,
      'searchUser',
      (original) =>
        function (packed, outcome, nowMs) {
          this.gates.acceptedSentMs = Infinity;
          original.call(this, packed, outcome, nowMs);
        },
    ),
  ),
  bug('a whole batch is rejected for one bad entry', () =>
    replaced(
      Outcomes,
      'bodyRefused',
      () =>
        function (post, outcome) {
          for (const { cells } of post.users)
            for (const cell of cells)
              if (cell.state === 'waiting') this.crowd.reject(cell, outcome.code, outcome.message);
        },
    ),
  ),
  bug('one refused login holds back all accounts', () =>
    replaced(
      Dispatcher,
      'accountsReady',
      (original) =>
        function () {
          const isReady = (account: string): boolean => this.logins.isReady(account);
          return this.logins.accounts().every(isReady) ? original.call(this) : [];
        },
    ),
  ),
  bug('a backoff never ends', () => replaced(Crowd, 'takeDue', () => () => undefined)),
];
