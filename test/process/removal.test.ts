// A removal behind 20,000 adds; the long run has 200,000, most of them on disk only.
import { removalOvertakes } from './removal';

describe('a removal behind 20,000 queued adds', function () {
  this.timeout(120_000);
  removalOvertakes({ adds: 20_000 });
});
