// checkSegments: warnings about segments that flows name, with the sandbox and with generated lists.
import assert from 'node:assert/strict';
import type { FixedSegment } from '../../src/entry/mapping/fixed-segments';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { checkSegments, warmUpMs, type SegmentFinding } from '../../src/usage/segment-check';
import type { Segment } from '../../src/service/reply/schemas';
import type { SegmentQuery } from '../../src/service/segments';
import { ServiceClient } from '../../src/service/client';
import { FakeClock, login, sandboxes } from '../sandbox/helpers';

const id = (number: number, adds = true): FixedSegment => ({ by: 'id', id: number, key: `i${number}`, adds });
const code = (text: string, member = 1): FixedSegment => ({
  by: 'code',
  code: text,
  member,
  key: `c${member}:${text.toLowerCase()}`,
  adds: true,
});

describe('the check of segments', () => {
  const start = sandboxes();

  async function started(options = {}) {
    const clock = new FakeClock();
    const site = await start({ clock, ...options });
    const { url } = site;
    const client = new ServiceClient({ authUrl: url, serviceUrl: url });
    const token = await login(url);
    const store = new SqliteStore(':memory:');
    await store.open();
    const check = async (...wanted: FixedSegment[]): Promise<SegmentFinding[]> => {
      const read = (query: object) => client.segments(query, token);
      const outcome = await checkSegments(wanted, { read, store, member: 1, nowMs: clock.wallMs() });
      assert.ok(outcome.kind === 'read', JSON.stringify(outcome));
      return outcome.value;
    };
    return { clock, check, store, peaks: () => site.peaks(), client };
  }

  it('finds segments that are inactive, of another member, unknown, in another case, or in their warm-up', async () => {
    const { check, clock, client } = await started();
    const now = clock.wallMs();
    const warnings = await check(
      id(10001),
      id(10999),
      id(10998),
      id(10997),
      id(10996),
      code('Buyers'),
      code('buyers'),
      code('summer_sale_2019'),
      code('anything', 9),
    );
    await client.close();
    assert.deepEqual(warnings, [
      { kind: 'inactive', key: 'i10999', segment: 10999 },
      { kind: 'notOurs', key: 'i10998', segment: 10998 },
      { kind: 'notOurs', key: 'i10997', segment: 10997 },
      {
        kind: 'warmUp',
        key: 'i10996',
        segment: 10996,
        untilMs: now + warmUpMs,
        keys: ['i10996', 'c1:brand_new'],
      },
      { kind: 'otherCase', key: 'c1:buyers', segment: 'Buyers', listed: 'buyers' },
      { kind: 'inactive', key: 'c1:summer_sale_2019', segment: 'summer_sale_2019' },
    ]);
  });

  it('accepts segments that the sandbox accepts without listing them', async () => {
    const { check, client } = await started();
    assert.deepEqual(await check(id(777), code('of my own')), []);
    await client.close();
  });

  it('assumes a warm-up only while both the last change and our first sight of a segment are recent', async () => {
    const { check, clock, client } = await started();
    const kinds = async () => (await check(id(10996))).map(({ kind }) => kind);
    clock.advance(warmUpMs - 1);
    assert.deepEqual(await kinds(), ['warmUp']);
    clock.advance(1);
    assert.deepEqual(await kinds(), [], 'it was changed 20 minutes ago');
    await client.close();
    const segments = [
      {
        id: 5,
        code: 'five',
        short_name: 'Five',
        state: 'active' as const,
        member_id: 1,
        expire_minutes: 0,
        last_modified: '2026-01-05 10:30:00',
      },
    ];
    const other = await started({ segments });
    // First seen at 10:30. A change half an hour later starts no new warm-up.
    assert.equal((await other.check(id(5)))[0]!.kind, 'warmUp');
    other.clock.advance(30 * 60_000);
    segments[0]!.last_modified = '2026-01-05 10:59:00';
    assert.deepEqual(await other.check(id(5)), []);
    await other.client.close();
  });

  it('finds no warm-up for removals', async () => {
    const { check, client } = await started();
    assert.deepEqual(await check(id(10996, false)), []);
    assert.equal((await check(id(10996, false), id(10996)))[0]!.kind, 'warmUp');
    await client.close();
  });

  it('reads a hundred ids at a time, each once', async () => {
    const { check, client, peaks } = await started();
    await check(...Array.from({ length: 250 }, (_, n) => id(1 + (n % 230))));
    await client.close();
    assert.equal(peaks().totals.gets, 3);
  });

  describe('looks up codes', () => {
    /** A list of `count` segments that records its queries. */
    const listOf = (count: number) => {
      const queries: SegmentQuery[] = [];
      const all = Array.from({ length: count }, (_, index): Segment => ({
        id: index + 1,
        code: `Code${index + 1}`,
        shortName: null,
        state: 'active',
        memberId: 1,
        expireMinutes: null,
        lastModified: null,
      }));
      const read = (query: SegmentQuery) => {
        queries.push(query);
        const hits = all.filter((one) => query.code === undefined || one.code === query.code);
        const { start = 0, limit = Infinity } = query;
        const value = { segments: hits.slice(start, start + limit), total: hits.length };
        return Promise.resolve({ kind: 'read', value } as const);
      };
      return { all, queries, read };
    };
    const lookUp = async (read: (query: SegmentQuery) => any, ...codes: string[]): Promise<string[]> => {
      const store = new SqliteStore(':memory:');
      await store.open();
      const wanted = codes.map((text) => code(text));
      const outcome = await checkSegments(wanted, { read, store, member: 1, nowMs: 0 });
      assert.ok(outcome.kind === 'read');
      return outcome.value.map(({ kind, segment }) => `${segment} ${kind}`);
    };
    const codes = (count: number, from = 1): string[] =>
      Array.from({ length: count }, (_, index) => `Code${from + index}`);

    it('on the first page of the list with one read', async () => {
      const { queries, read } = listOf(90);
      assert.deepEqual(await lookUp(read, ...codes(60), 'code70'), ['code70 otherCase']);
      assert.equal(queries.length, 1);
    });

    it('in the whole list if that takes fewer reads than one for each code, else one by one', async () => {
      const many = listOf(450);
      assert.deepEqual(await lookUp(many.read, ...codes(9, 300)), []);
      assert.deepEqual(many.queries, [{ limit: 100 }, { start: 100 }]);
      const few = listOf(450);
      assert.deepEqual(await lookUp(few.read, ...codes(2, 300)), []);
      assert.deepEqual(few.queries.slice(1), [{ code: 'Code300' }, { code: 'Code301' }]);
    });

    it('one by one in a list that is too long to read', async () => {
      const { queries, read } = listOf(5_000);
      assert.deepEqual(await lookUp(read, ...codes(60, 400), 'nowhere'), ['nowhere unknown']);
      assert.equal(queries.length, 1 + 61);
    });

    it('as the member’s own, although another member shares a segment with the same code', async () => {
      const { all, read } = listOf(3);
      all.unshift({ ...all[1]!, id: 77, memberId: 2, code: 'CODE2' });
      assert.deepEqual(await lookUp(read, 'Code2'), []);
      all.reverse();
      assert.deepEqual(await lookUp(read, 'Code2'), []);
    });
  });

  it('returns why it could not read, and stores nothing', async () => {
    const store = new SqliteStore(':memory:');
    await store.open();
    const failure = { kind: 'configuration', code: 'http_403', message: 'no' } as const;
    const read = () => Promise.resolve(failure);
    const outcome = await checkSegments([id(1)], { read, store, member: 1, nowMs: 0 });
    assert.deepEqual(outcome, failure);
    assert.equal(await store.getMeta('segments first seen'), null);
  });
});
