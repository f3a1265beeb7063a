// The segment directory: its cache, its requests to the service, and the order of its results.
import assert from 'node:assert/strict';
import { pageSize, SegmentDirectory, type SegmentSearch } from '../../nodes/account/forms/segment-directory';
import type { Segment } from '../../src/service/reply/schemas';
import type { SegmentQuery } from '../../src/service/segments';

function segment(id: number, name: string | null = `Name ${id}`, state = 'active'): Segment {
  const none = { memberId: 7, expireMinutes: null, lastModified: null };
  return { id, code: `code_${id}`, shortName: name, state, ...none };
}

/** A service with so many segments, and what was asked of it. */
function serviceWith(segments: readonly Segment[], totalIsKnown = true) {
  const asked: SegmentQuery[] = [];
  const read = (query: SegmentQuery) => {
    asked.push(query);
    const { ids, search, limit } = query;
    const hits = segments.filter(
      ({ id, code, shortName }) =>
        (ids === undefined || ids.includes(id)) &&
        (search === undefined || `${code} ${shortName}`.toLowerCase().includes(search)),
    );
    const value = { segments: hits.slice(0, limit), total: totalIsKnown ? hits.length : null };
    return Promise.resolve({ kind: 'read', value } as const);
  };
  return { asked, read };
}

const range = (count: number): Segment[] => Array.from({ length: count }, (_, index) => segment(index + 1));
const idsOf = (found: SegmentSearch): number[] => {
  if (found.kind !== 'page') throw new Error(found.message);
  return found.page.segments.map(({ id }) => id);
};

describe('the directory of segments', () => {
  let nowMs = 0;
  const directory = (): SegmentDirectory => new SegmentDirectory(() => nowMs);
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('reads a short list once, and searches it itself', async () => {
    const { asked, read } = serviceWith([
      segment(1, 'Beta'),
      segment(2, 'alpha'),
      segment(3, 'Gamma', 'inactive'),
    ]);
    const one = directory();
    assert.deepEqual(idsOf(await one.search('k', read, '', 0)), [2, 1, 3]);
    assert.deepEqual(idsOf(await one.search('k', read, 'a code_2', 0)), [2]);
    assert.deepEqual(idsOf(await one.search('k', read, '3', 0)), [3], 'an exact id, inactive too');
    assert.equal(asked.length, 1);
  });

  it('puts exact matches first, then prefixes, and sorts numbers as numbers', async () => {
    const rig = Array.from({ length: 150 }, (_, index) => segment(9_901 + index, `Rig segment ${index + 1}`));
    const { read } = serviceWith([...rig, segment(3, 'Old rig segment 42'), segment(42, 'Rig')]);
    const one = directory();
    await one.search('k', read, '', 0);
    await settled();
    const names = async (text: string): Promise<(string | null)[]> => {
      const found = await one.search('k', read, text, 0);
      return found.kind === 'page' ? found.page.segments.map(({ shortName }) => shortName) : [];
    };
    assert.deepEqual(await names('Rig segment 42'), [
      'Rig segment 42',
      'Old rig segment 42',
      'Rig segment 142',
    ]);
    assert.deepEqual(await names('42'), ['Rig', 'Old rig segment 42', 'Rig segment 42', 'Rig segment 142']);
    assert.deepEqual((await names('rig segment 1')).slice(0, 3), [
      'Rig segment 1',
      'Rig segment 10',
      'Rig segment 11',
    ]);
    assert.deepEqual((await names('code_9942'))[0], 'Rig segment 42');
    assert.deepEqual((await names('rig')).slice(0, 3), ['Rig', 'Rig segment 1', 'Rig segment 2']);
  });

  it('puts none first for having no code or no name when nothing is searched for', async () => {
    const { read } = serviceWith([
      segment(1, 'Alpha'),
      segment(2, null),
      { ...segment(3, 'Old', 'inactive'), code: null },
    ]);
    assert.deepEqual(idsOf(await directory().search('k', read, '', 0)), [1, 2, 3]);
  });

  it('orders the results of the service in the same way', async () => {
    const { read } = serviceWith(
      Array.from({ length: 3_000 }, (_, at) => segment(at + 1, `Rig ${3_000 - at}`)),
    );
    const one = directory();
    const found = await one.search('k', read, 'Rig 29', 0);
    assert.deepEqual(
      found.kind === 'page' && found.page.segments.slice(0, 2).map(({ shortName }) => shortName),
      ['Rig 29', 'Rig 290'],
    );
  });

  it('reads again after some minutes, and for another login', async () => {
    const { asked, read } = serviceWith(range(3));
    const one = directory();
    await one.search('k', read, '', 0);
    nowMs += 4 * 60_000;
    await one.search('k', read, '', 0);
    assert.equal(asked.length, 1);
    await one.search('other', read, '', 0);
    assert.equal(asked.length, 2);
    nowMs += 2 * 60_000;
    await one.search('k', read, '', 0);
    assert.equal(asked.length, 3);
  });

  it('answers from the service while the whole list is on its way, then by itself', async () => {
    const { asked, read } = serviceWith(range(800));
    const one = directory();
    assert.equal(idsOf(await one.search('k', read, '', 0)).length, pageSize);
    await settled();
    const before = asked.length;
    const page = await one.search('k', read, 'name', 750);
    assert.equal(idsOf(page).length, 50);
    assert.equal(page.kind === 'page' && page.page.next, null);
    assert.equal(asked.length, before);
    assert.deepEqual(
      asked.map(({ limit }) => limit),
      [100, 2_000],
    );
  });

  it('leaves a list beyond 2,000 at the service, and keeps each search of it', async () => {
    const { asked, read } = serviceWith(range(20_000));
    const one = directory();
    const first = await one.search('k', read, '', 0);
    assert.equal(first.kind === 'page' && first.page.total, 20_000);
    assert.deepEqual(idsOf(await one.search('k', read, 'name 12345', 0)), [12345]);
    await one.search('k', read, 'name 12345', 0);
    assert.deepEqual(idsOf(await one.search('k', read, '12345', 0)).slice(0, 1), [12345], 'an id, too');
    assert.ok(asked.every(({ limit }) => (limit ?? Infinity) <= 500));
    assert.equal(asked.filter(({ search }) => search === 'name 12345').length, 1);
  });

  it('pages through a list whose length the service does not say', async () => {
    const { read } = serviceWith(range(60), false);
    const one = directory();
    const first = await one.search('k', read, '', 0);
    assert.deepEqual(first.kind === 'page' && [first.page.total, first.page.next], [60, 50]);
    assert.equal(idsOf(await one.search('k', read, '', 50)).length, 10);
  });

  it('does not keep a failure', async () => {
    const { asked, read } = serviceWith(range(3));
    const one = directory();
    const failing = () => Promise.resolve({ kind: 'deadToken', message: 'no' } as const);
    assert.equal((await one.search('k', failing, '', 0)).kind, 'deadToken');
    assert.equal((await one.search('k', read, '', 0)).kind, 'page');
    assert.equal(asked.length, 1);
  });
});
