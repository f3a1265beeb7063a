// kill −9 in the middle of a load, a few times; the long run does it sixteen times, on both versions.
import { killRounds } from './kill-rounds';

describe('a Node-RED that is killed in the middle of a load', function () {
  this.timeout(120_000);
  killRounds({ rounds: 3 });
});
