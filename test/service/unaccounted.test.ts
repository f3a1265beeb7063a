// uncounted: counts in a reply below the number sent, less what its warnings refuse.
import assert from 'node:assert/strict';
import type { EntryVerdict } from '../../src/service/reply/outcome';
import { uncounted } from '../../src/service/reply/verdicts';

const accepted: EntryVerdict = { kind: 'accepted', warnings: [] };
const rejected: EntryVerdict = { kind: 'rejected', code: 'x', message: 'x' };
const again: EntryVerdict = { kind: 'again' };
const partly: EntryVerdict = { kind: 'partly', blocks: new Map([[0, { code: 'x', message: 'x' }]]) };
const none = { users: 0, segments: 0 };

describe('the shortfall in the counts of a reply', () => {
  it('is zero when the counts are equal, higher or missing', () => {
    assert.deepEqual(uncounted({ users: 2, segments: 5 }, [2, 3], null), none);
    assert.deepEqual(uncounted({ users: 3, segments: 9 }, [2, 3], null), none);
    assert.deepEqual(uncounted({ users: null, segments: null }, [2, 3], null), none);
  });

  it('is the difference without warnings, for users and segments separately', () => {
    assert.deepEqual(uncounted({ users: 1, segments: 2 }, [2, 3], null), { users: 1, segments: 3 });
    assert.deepEqual(uncounted({ users: 2, segments: 4 }, [2, 3], null), { users: 0, segments: 1 });
    assert.deepEqual(uncounted({ users: 0, segments: null }, [2, 3], null), { users: 2, segments: 0 });
  });

  it('leaves out entries and blocks that warnings refuse, counted or not', () => {
    const entryVerdicts = [accepted, rejected, again, partly];
    for (const counts of [
      { users: 2, segments: 6 },
      { users: 4, segments: 15 },
    ]) {
      assert.deepEqual(uncounted(counts, [4, 4, 4, 3], entryVerdicts), none);
    }
    const fewer = { users: 1, segments: 5 };
    assert.deepEqual(uncounted(fewer, [4, 4, 4, 3], entryVerdicts), { users: 1, segments: 1 });
  });

  it('is not explained by a warning that refuses nothing', () => {
    const odd: EntryVerdict = { kind: 'accepted', warnings: ['Odd.'] };
    assert.deepEqual(uncounted({ users: 1, segments: 1 }, [1, 1], [accepted, odd]), {
      users: 1,
      segments: 1,
    });
  });
});
