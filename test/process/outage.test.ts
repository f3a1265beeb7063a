// An outage of ten seconds, and a service that hangs for a few; the long run has two minutes and more than a time-out.
import { outage } from './outage';

describe('a Node-RED whose service is unreachable', function () {
  this.timeout(120_000);
  outage({ kind: 'gone', outageMs: 10_000, drainMs: 40_000 });
});

describe('a Node-RED whose service hangs', function () {
  this.timeout(120_000);
  outage({ kind: 'hangs', outageMs: 4_000, drainMs: 40_000 });
});
