// A deploy every second under load, for a minute, on both Node-REDs.
import { redeploys } from '../process/redeploy';
import { nodeRedVersions } from '../support/node-red';

for (const version of nodeRedVersions) {
  describe(`a Node-RED ${version} that is redeployed every second for a minute`, function () {
    this.timeout(300_000);
    redeploys({ version, deploys: 60 });
  });
}
