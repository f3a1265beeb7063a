// A deploy every second under load, for a minute.
import { redeploys } from '../process/redeploy';
import { nodeRedVersion } from '../support/node-red';

describe(`a Node-RED ${nodeRedVersion} that is redeployed every second for a minute`, function () {
  this.timeout(300_000);
  redeploys({ deploys: 60 });
});
