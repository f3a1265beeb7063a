// kill −9 in the middle of a load, twenty times: on both Node-REDs, twice in a row, and with requests that run late.
import { killRounds } from '../process/kill-rounds';

// Several user directories, since logins count across starts: ten in five minutes.
describe('a Node-RED 5 that is killed in the middle of a load, in the long run', function () {
  this.timeout(180_000);
  killRounds({ version: '5', rounds: 8 });
});

describe('a Node-RED 4.1 that is killed in the middle of a load, in the long run', function () {
  this.timeout(180_000);
  killRounds({ version: '4.1', rounds: 4 });
});

describe('a Node-RED that is killed twice in a row', function () {
  this.timeout(180_000);
  killRounds({ version: '5', rounds: 4, killTwice: true });
});

describe('a Node-RED that is killed while lost requests still run', function () {
  this.timeout(180_000);
  killRounds({ version: '5', rounds: 4, lateMs: 8_000 });
});
