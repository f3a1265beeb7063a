// runUsage with a service whose records have unreadable hours.
import assert from 'node:assert/strict';
import { SqliteStore } from '../../src/queue/sqlite/sqlite-store';
import { hourMs, HourRing } from '../../src/queue/hour-ring';
import { usageRingName } from '../../src/usage/usage-history';
import { runUsage } from '../../src/usage/usage-run';
import { parseUsage, type UsageQuery } from '../../src/service/usage';

describe('a run of usage statistics', () => {
  it('counts a record with an unreadable hour in the total, and not again from the hours read before the range', async () => {
    const store = new SqliteStore(':memory:');
    await store.open();
    const first = Math.floor(Date.UTC(2026, 0, 5, 10) / hourMs);
    const queries: UsageQuery[] = [];
    const record = (n: number): object => ({ processed_hour: 'hour the tenth', num_valid_adds: n });
    const pair = { adds: 1, removes: 0 };
    const sent = new Map([['shop', { users: 1, total: pair, segments: new Map() }]]);
    const outcome = await runUsage(
      {
        read: (query) => {
          queries.push(query);
          const isRange = query.startMs! >= first * hourMs;
          const report = parseUsage({ status: 'OK', report: [record(isRange ? 7 : 100)] })!;
          return Promise.resolve({ kind: 'read', value: report });
        },
        sent: { read: () => Promise.resolve(new Map([[first - 3, sent]])) as never },
        ring: new HourRing(store, usageRingName),
      },
      {
        memberId: 1,
        fromMs: first * hourMs,
        toMs: (first + 2) * hourMs - 1000,
        nowMs: (first + 2) * hourMs,
        aggregate: false,
      },
    );
    assert.ok(outcome.kind === 'read');
    assert.equal(outcome.value.report.total.adds, 7);
    assert.deepEqual(
      outcome.value.report.hours.map(({ hour, counts }) => [hour, counts.adds]),
      [[null, 7]],
    );
    assert.deepEqual(
      queries.map(({ startMs, endMs }) => [startMs! / hourMs - first, Math.ceil(endMs! / hourMs) - first]),
      [
        [-3, 0],
        [0, 2],
      ],
    );
    await store.close();
  });
});
