// kill −9 in the middle of a load, sixteen times: also twice in a row, and with requests that run late.
import { killRounds } from '../process/kill-rounds';
import { nodeRedVersion } from '../support/node-red';

// Several user directories, since logins count across starts: ten in five minutes.
describe(`a Node-RED ${nodeRedVersion} that is killed in the middle of a load, in the long run`, function () {
  this.timeout(180_000);
  killRounds({ rounds: 8 });
});

describe(`a Node-RED ${nodeRedVersion} that is killed twice in a row`, function () {
  this.timeout(180_000);
  killRounds({ rounds: 4, killTwice: true });
});

describe(`a Node-RED ${nodeRedVersion} that is killed while lost requests still run`, function () {
  this.timeout(180_000);
  killRounds({ rounds: 4, lateMs: 8_000 });
});
