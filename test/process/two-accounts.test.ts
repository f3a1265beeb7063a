// Partial deploys that close one of two accounts of a member: the other one delivers.
import { nodeRedVersions } from '../support/node-red';
import { twoAccounts } from './two-accounts';

for (const version of nodeRedVersions) {
  describe(`a Node-RED ${version} with two accounts of one member`, function () {
    this.timeout(120_000);
    twoAccounts(version);
  });
}
