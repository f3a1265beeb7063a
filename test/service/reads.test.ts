// Reads of segments page by page, and of usage statistics with their log lines.
import assert from 'node:assert/strict';
import type { SegmentPage } from '../../src/service/reply/schemas';
import { parseSegmentPage, readSegments, segmentQueryString } from '../../src/service/segments';
import { parseUsage, usageQueryString } from '../../src/service/usage';

/** A service with `total` segments and at most `maxPerPage` on each page. */
function listOf(total: number, maxPerPage = 100, withCount = true) {
  const queries: string[] = [];
  const readPage = (query: string) => {
    queries.push(query);
    const params = new URLSearchParams(query);
    const start = Number(params.get('start_element'));
    const size = Math.min(Number(params.get('num_elements')), maxPerPage, Math.max(0, total - start));
    const segments = Array.from({ length: size }, (_, n) => ({
      id: start + n + 1,
      code: `c${start + n + 1}`,
    }));
    const page = parseSegmentPage({
      response: { status: 'OK', ...(withCount && { count: total }), segments },
    });
    assert.ok(page !== null);
    return Promise.resolve({ kind: 'read', value: page } as const);
  };
  return { queries, readPage };
}

describe('the hour of a usage record', () => {
  const hour = Date.UTC(2015, 10, 8, 1);
  for (const text of [
    '2015-11-08 01:00:00',
    '2015-11-08T01:00:00Z',
    '2015-11-08T01:00:00.000Z',
    '2015-11-08 01:00:00 UTC',
    '2015-11-08T02:00:00+01:00',
    '2015-11-08+01:00:00',
    ' 2015-11-08 01:00 ',
    '2015-11-08 01',
    1_446_944_400,
    '1446944400000',
  ]) {
    it(`is read from ${JSON.stringify(text)}`, () => {
      const report = parseUsage({ status: 'OK', report: [{ processed_hour: text }] });
      assert.equal(report?.hours[0]?.processedHourMs, hour);
    });
  }

  for (const text of ['', 'soon', '2015-13-08 01:00:00', '2015-11-08 01:00:00 and more', 12, null]) {
    it(`is unknown for ${JSON.stringify(text)}`, () => {
      const report = parseUsage({ status: 'OK', report: [{ processed_hour: text, num_valid_adds: 3 }] });
      assert.deepEqual([report?.hours[0]?.processedHourMs, report?.hours[0]?.validAdds], [null, 3]);
    });
  }
});

describe('the list of segments', () => {
  it('is empty for an empty list of ids, without a call', async () => {
    const { queries, readPage } = listOf(250);
    const read = await readSegments({ ids: [] }, readPage);
    assert.deepEqual([read, queries], [{ kind: 'read', value: { segments: [], total: 0 } }, []]);
  });

  for (const [total, maxPerPage, withCount, calls] of [
    [0, 100, true, 1],
    [1, 100, true, 1],
    [100, 100, true, 1],
    [250, 100, true, 3],
    [250, 60, true, 5],
    [250, 100, false, 3],
    [200, 100, false, 3],
  ] as const) {
    it(`has all ${total} after ${calls} calls, ${maxPerPage} a page, ${withCount ? 'with' : 'without'} a count`, async () => {
      const { queries, readPage } = listOf(total, maxPerPage, withCount);
      const outcome = await readSegments({}, readPage);
      assert.ok(outcome.kind === 'read');
      assert.deepEqual(
        outcome.value.segments.map(({ id }) => id),
        Array.from({ length: total }, (_, n) => n + 1),
      );
      assert.equal(outcome.value.total, withCount ? total : null);
      assert.equal(queries.length, calls);
    });
  }

  it('stops at the limit', async () => {
    const { queries, readPage } = listOf(1000);
    const outcome = await readSegments({ limit: 150 }, readPage);
    assert.ok(outcome.kind === 'read');
    assert.equal(outcome.value.segments.length, 150);
    assert.equal(outcome.value.total, 1000);
    assert.deepEqual(queries.at(-1), '?start_element=100&num_elements=50');
  });

  it('ends at an empty page, although the count is higher', async () => {
    const empty: SegmentPage = { count: 10, received: 0, segments: [] };
    const outcome = await readSegments({}, () => Promise.resolve({ kind: 'read', value: empty }));
    assert.deepEqual(outcome, { kind: 'read', value: { segments: [], total: 10 } });
  });

  it('fails as a whole when a page fails', async () => {
    const { readPage } = listOf(250);
    const failure = { kind: 'deadToken', message: 'dead' } as const;
    const outcome = await readSegments({}, (query) =>
      query.includes('=200') ? Promise.resolve(failure) : readPage(query),
    );
    assert.deepEqual(outcome, failure);
  });

  it('reads a single hit under `segment` and numbers as text, and skips elements without an id', () => {
    const one = {
      id: '7',
      code: null,
      short_name: 'Seven',
      member_id: '9',
      state: 'active',
      last_modified: null,
    };
    assert.deepEqual(parseSegmentPage({ response: { status: 'OK', count: 1, segment: one } }), {
      count: 1,
      received: 1,
      segments: [
        {
          id: 7,
          code: null,
          shortName: 'Seven',
          state: 'active',
          memberId: 9,
          expireMinutes: null,
          lastModified: null,
        },
      ],
    });
    const page = parseSegmentPage({ status: 'OK', segments: [{ id: 1 }, { code: 'x' }, null] });
    assert.deepEqual([page?.received, page?.segments.map(({ id }) => id)], [3, [1]]);
    assert.equal(parseSegmentPage({ status: 'OK', segments: 'none' }), null);
  });

  it('uses the documented query parameters', () => {
    const query = segmentQueryString({ ids: [1, 2], code: 'a&b', search: 'x y', state: 'active' }, 0, 100);
    assert.equal(query, '?id=1%2C2&code=a%26b&search=x+y&state=active&start_element=0&num_elements=100');
  });
});

describe('usage statistics', () => {
  it('have times of the documented form in their query', () => {
    const startMs = Date.UTC(2015, 10, 1, 1);
    assert.equal(
      usageQueryString({ memberId: 123, startMs, endMs: startMs + 3_600_000, aggregate: true }),
      '?member_id=123&start=2015-11-01+01:00:00&end=2015-11-01+02:00:00&agg=true',
    );
    assert.equal(usageQueryString({}), '');
  });

  it('keep codes with quotes and commas, and lines of an unknown kind', () => {
    const segment_log_lines = `Valid segments (id, code, segment owner member id): (1, 'a,\\'b', 2), (3, "it's (x)", 4), (5, None, 6)\nNew line: (1)`;
    const report = parseUsage({ status: 'OK', report: { segment_log_lines } });
    assert.deepEqual(report?.hours[0]?.log?.validSegments, [
      { id: 1, code: "a,'b", memberId: 2 },
      { id: 3, code: "it's (x)", memberId: 4 },
      { id: 5, code: '', memberId: 6 },
    ]);
    assert.deepEqual(report.hours[0].log.other, ['New line: (1)']);
  });

  it('may be empty, and are null for any other reply', () => {
    assert.deepEqual(parseUsage({ response: { status: 'OK', report: [] } }), {
      aggregated: false,
      hours: [],
    });
    assert.deepEqual(parseUsage({ response: { status: 'OK', report: null } }), {
      aggregated: false,
      hours: [],
    });
    assert.equal(parseUsage({ status: 'OK', report: 'x' }), null);
    assert.equal(parseUsage(null), null);
  });
});
