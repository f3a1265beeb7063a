// A million cases: the fuzz tests, each as often as it takes. FUZZ_SCALE and FUZZ_SEED choose how often, and which.
import assert from 'node:assert/strict';
import '../fuzz/million';
import '../fuzz/admin.test';
import '../fuzz/configurations.test';
import '../fuzz/messages.test';
import '../fuzz/store-files.test';
import '../fuzz/replies.test';
import '../fuzz/wire.test';
import { casesRun } from '../fuzz/cases';
import { count, tell } from '../process/measured';

describe('the fuzz tests', () => {
  it('ran their cases', () => {
    tell(count(casesRun(), 'cases'));
    assert.ok(casesRun() >= 15_000 * Number(process.env.FUZZ_SCALE));
  });
});
