// “file to audience”, fed from a real CSV file: its rows become memberships, and the status says how far it is.
import { fileToAudience } from './file-run';

describe('file to audience', function () {
  this.timeout(60_000);
  fileToAudience({ rows: 20_000, users: 4_000 });
});
