// A buyer behind 200,000 viewers, most of them on disk only.
import { removalOvertakes } from '../process/removal';
import { nodeRedVersion } from '../support/node-red';

describe(`a removal behind 200,000 queued adds on Node-RED ${nodeRedVersion}`, function () {
  this.timeout(400_000);
  removalOvertakes({ adds: 200_000 });
});
