// A buyer behind 200,000 viewers, most of them on disk only.
import { removalOvertakes } from '../process/removal';
import { nodeRedVersions } from '../support/node-red';

for (const version of nodeRedVersions) {
  describe(`a removal behind 200,000 queued adds on Node-RED ${version}`, function () {
    this.timeout(400_000);
    removalOvertakes({ version, adds: 200_000 });
  });
}
