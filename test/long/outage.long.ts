// The service gone for two minutes, and hanging for longer than a request's time-out.
import { outage } from '../process/outage';

describe('a Node-RED whose service is gone for two minutes', function () {
  this.timeout(400_000);
  outage({ kind: 'gone', outageMs: 120_000, drainMs: 180_000 });
});

describe('a Node-RED whose service hangs for longer than a time-out', function () {
  this.timeout(300_000);
  // Within the 20 s that a lost request is taken to run: what comes later is beyond the promise.
  outage({ kind: 'hangs', outageMs: 16_000, drainMs: 120_000 });
});
