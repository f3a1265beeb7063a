// A deploy every second under load, ten times; the long run does it sixty times.
import { redeploys } from './redeploy';

describe('a Node-RED that is redeployed every second under load', function () {
  this.timeout(120_000);
  redeploys({ deploys: 10 });
});
