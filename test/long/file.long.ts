// A million rows of a CSV through the example, with a quota that lets them through in minutes; memory stays flat.
import { fileToAudience } from '../examples/file-run';

describe('file to audience with a million rows', function () {
  this.timeout(900_000);
  fileToAudience({
    rows: 1_000_000,
    users: 1_000_000,
    limits: { postsPerSecond: 1_000, usersPerSecond: 50_000 },
    mostMb: 450,
    timeoutMs: 800_000,
  });
});
