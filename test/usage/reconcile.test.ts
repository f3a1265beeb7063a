// Comparison of sent posts with the service's counts, in whatever hour it counts them.
import fc from 'fast-check';
import assert from 'node:assert/strict';
import type { SentPair } from '../../src/delivery/monitor/sent-counts';
import { findings } from '../../src/usage/findings';
import {
  Flow,
  reconcile,
  type ProcessedHour,
  type ReconcileInput,
  type SentOfHour,
} from '../../src/usage/reconcile';
import type { LoggedSegment } from '../../src/service/usage';
import { noCounts, type UsageCounts } from '../../src/service/usage-report';

function sentHour(hour: number, users: number, segments: Record<string, [number, number]>): SentOfHour {
  const pairs = new Map<string, SentPair>(
    Object.entries(segments).map(([key, [adds, removes]]) => [key, { adds, removes }]),
  );
  let [adds, removes] = [0, 0];
  for (const pair of pairs.values()) [adds, removes] = [adds + pair.adds, removes + pair.removes];
  return { hour, users, adds, removes, segments: pairs, accounts: { a: { users, adds, removes } } };
}

function processedHour(
  hour: number,
  counts: Partial<UsageCounts>,
  listed: Partial<Pick<ProcessedHour, 'inactive' | 'unauthorized' | 'invalid'>> = {},
): ProcessedHour {
  const lists = { inactive: [], unauthorized: [], invalid: [], ...listed };
  return { hour, counts: { ...noCounts, ...counts }, ...lists };
}

const segment = (id: number, code = `segment_${id}`, memberId = 1): LoggedSegment => ({ id, code, memberId });

function flowOf(
  sent: SentOfHour[],
  processed: ProcessedHour[],
  range: Partial<Pick<ReconcileInput, 'firstHour' | 'lastHour' | 'nowHour'>> = {},
): Flow {
  return new Flow({ sent, processed, firstHour: 10, lastHour: 10, nowHour: 11, ...range });
}

describe('the comparison of sent posts with the counts of the service', () => {
  it('classifies every difference of an hour exactly', () => {
    const flow = flowOf(
      [sentHour(10, 100, { i1: [80, 5], i12: [41, 2], i13: [7, 0], 'c9:theirs': [4, 0] })],
      [
        processedHour(
          10,
          {
            validUsers: 90,
            invalidUsers: 10,
            adds: 72,
            removes: 5,
            inactiveSegments: 40,
            invalidSegments: 6,
            unauthorizedSegments: 4,
          },
          {
            inactive: [segment(12)],
            invalid: [segment(0, 'segment_13')],
            unauthorized: [segment(0, 'theirs', 9)],
          },
        ),
      ],
    );
    const { differences, notProcessed, accountedFor, exact, hours } = reconcile(flow);
    assert.deepEqual(differences, {
      unknownUsers: { users: 10, associations: 12 },
      inactiveSegments: 40,
      unauthorizedSegments: 4,
      unknownSegments: 6,
      surplus: { users: 0, associations: 0 },
      unexplained: 0,
    });
    assert.deepEqual(
      [notProcessed, accountedFor, exact],
      [{ users: 0, associations: 0 }, { users: 100, associations: 139 }, true],
    );
    assert.deepEqual([hours.length, hours[0]!.state, hours[0]!.differences], [1, 'processed', differences]);
    assert.deepEqual(findings(flow, ['0', '00']), [
      { kind: 'inactiveSegment', segment: 12, code: 'segment_12', member: 1, adds: 41, removes: 2 },
      { kind: 'unauthorizedSegment', segment: 'theirs', code: 'theirs', member: 9, adds: 4, removes: 0 },
      { kind: 'unknownSegment', segment: 'segment_13', code: 'segment_13', member: 1, adds: 7, removes: 0 },
      { kind: 'unknownUsers', users: 10, percent: 10, associations: 12, sample: ['0', '00'] },
    ]);
  });

  it('distinguishes unprocessed from unconfirmed posts by their age', () => {
    const sent = [sentHour(10, 50, { i1: [50, 0] })];
    const processed = [processedHour(10, { validUsers: 20, adds: 20 })];
    const at = (nowHour: number) => {
      const flow = flowOf(sent, processed, { nowHour });
      const { hours, notProcessed, unconfirmed } = reconcile(flow);
      return [
        hours[0]!.state,
        notProcessed.users,
        unconfirmed.users,
        findings(flow, []).map(({ kind }) => kind),
      ];
    };
    assert.deepEqual(at(11), ['accepted', 30, 0, []]);
    assert.deepEqual(at(13), ['accepted', 30, 0, ['notProcessed']]);
    assert.deepEqual(at(34), ['accepted', 30, 0, ['notProcessed']]);
    assert.deepEqual(at(35), ['unconfirmed', 30, 30, ['unconfirmed']]);
  });

  it('assigns later counts to the posts sent first', () => {
    const flow = flowOf(
      [sentHour(10, 50, { i1: [50, 0] }), sentHour(11, 30, { i2: [30, 0] })],
      [
        processedHour(10, { validUsers: 20, adds: 20 }),
        processedHour(11, { validUsers: 30, adds: 30 }),
        processedHour(12, { validUsers: 30, adds: 20, inactiveSegments: 10 }, { inactive: [segment(2)] }),
      ],
      { lastHour: 12, nowHour: 12 },
    );
    const { hours, differences } = reconcile(flow);
    assert.deepEqual(
      hours.map(({ state, notProcessed }) => [state, notProcessed.users]),
      [
        ['processed', 0],
        ['processed', 0],
        ['processed', 0],
      ],
    );
    assert.deepEqual([differences.unexplained, differences.surplus.users], [0, 0]);
    const only12 = flowOf(flow.input.sent as SentOfHour[], flow.input.processed as ProcessedHour[], {
      firstHour: 12,
      lastHour: 12,
      nowHour: 12,
    });
    assert.deepEqual(reconcile(only12).accountedFor, { users: 30, associations: 30 });
    assert.deepEqual(findings(only12, []), [
      { kind: 'inactiveSegment', segment: 2, code: 'segment_2', member: 1, adds: 30, removes: 0 },
    ]);
  });

  it('tolerates a service whose clock is a little behind', () => {
    const flow = flowOf(
      [sentHour(10, 10, { i1: [10, 0] }), sentHour(11, 10, { i1: [10, 0] })],
      [processedHour(10, { validUsers: 12, adds: 12 }), processedHour(11, { validUsers: 8, adds: 8 })],
      { lastHour: 11 },
    );
    const { notProcessed, differences } = reconcile(flow);
    assert.deepEqual([notProcessed.users, differences.surplus], [0, { users: 0, associations: 0 }]);
  });

  it('reports users sent by others as surplus, without missing its own', () => {
    const flow = flowOf(
      [sentHour(10, 10, { i1: [10, 0] })],
      [processedHour(10, { validUsers: 500, adds: 700 }), processedHour(11, { validUsers: 3, adds: 3 })],
      { lastHour: 12, nowHour: 12 },
    );
    const { notProcessed, differences } = reconcile(flow);
    assert.deepEqual([notProcessed.users, differences.surplus], [0, { users: 493, associations: 693 }]);
  });

  it('adds up whenever the service processes in order', () => {
    const post = fc.record({
      hour: fc.integer({ min: 0, max: 8 }),
      users: fc.integer({ min: 1, max: 9 }),
      unknown: fc.integer({ min: 0, max: 3 }),
      inactive: fc.integer({ min: 0, max: 3 }),
      lag: fc.integer({ min: 0, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(post, { maxLength: 30 }), fc.integer({ min: 0, max: 14 }), (posts, until) => {
        const inOrder = [...posts].sort((a, b) => a.hour - b.hour);
        const sent = new Map<number, SentOfHour>();
        const processed = new Map<number, UsageCounts>();
        const truth = {
          users: 0,
          blocks: 0,
          pendingUsers: 0,
          unknownUsers: 0,
          unknownBlocks: 0,
          inactive: 0,
        };
        let earliest = 0;
        for (const { hour, users, unknown, inactive, lag } of inOrder) {
          const all = users + unknown;
          earliest = Math.max(earliest, hour + lag);
          if (hour <= until) {
            const before = sent.get(hour);
            const adds = (before?.adds ?? 0) + 2 * all + inactive;
            sent.set(hour, sentHour(hour, (before?.users ?? 0) + all, { i1: [adds, 0] }));
            truth.users += all;
            truth.blocks += 2 * all + inactive;
          }
          if (hour <= until && earliest > until) truth.pendingUsers += all;
          if (earliest > until) continue;
          const counts = processed.get(earliest) ?? noCounts;
          processed.set(earliest, {
            ...counts,
            validUsers: counts.validUsers + users,
            invalidUsers: counts.invalidUsers + unknown,
            adds: counts.adds + 2 * users,
            inactiveSegments: counts.inactiveSegments + inactive,
          });
          truth.unknownUsers += unknown;
          truth.unknownBlocks += 2 * unknown;
          truth.inactive += inactive;
        }
        const result = reconcile(
          flowOf(
            [...sent.values()],
            [...processed].map(([hour, counts]) => processedHour(hour, counts)),
            { firstHour: 0, lastHour: until, nowHour: until },
          ),
        );
        assert.equal(result.notProcessed.users, truth.pendingUsers);
        assert.equal(result.accountedFor.users + result.notProcessed.users, truth.users);
        assert.equal(result.accountedFor.associations + result.notProcessed.associations, truth.blocks);
        const { unknownUsers, inactiveSegments, surplus } = result.differences;
        assert.deepEqual(
          [unknownUsers.users, inactiveSegments, surplus.users],
          [truth.unknownUsers, truth.inactive, 0],
        );
        if (truth.pendingUsers > 0) return;
        assert.equal(result.exact, true);
        assert.equal(unknownUsers.associations + result.differences.unexplained, truth.unknownBlocks);
        assert.deepEqual([...new Set(result.hours.map(({ state }) => state))], ['processed']);
      }),
      { numRuns: 500 },
    );
  });
});
