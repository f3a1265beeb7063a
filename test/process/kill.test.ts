// kill −9 in the middle of a load, a few times; the long run does it twenty times.
import { killRounds } from './kill-rounds';

describe('a Node-RED that is killed in the middle of a load', function () {
  this.timeout(120_000);
  killRounds({ version: '5', rounds: 3 });
});
