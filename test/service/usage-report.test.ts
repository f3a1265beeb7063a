// cleanReport: the documented usage samples in the form that flows receive (cases 10 and 11).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseUsage } from '../../src/service/usage';
import { cleanReport, type CleanReport } from '../../src/service/usage-report';

function caseReply(name: string): any {
  return JSON.parse(readFileSync(join(__dirname, '..', 'cases', `${name}.json`), 'utf8')).reply;
}

function cleanCase(name: string): CleanReport {
  return cleanReport(parseUsage(caseReply(name))!);
}

describe('usage statistics in the form that flows receive', () => {
  it('contain everything of the documented sum', () => {
    const report = cleanCase('10-usage-aggregated');
    const counts = {
      validUsers: 179,
      invalidUsers: 25,
      adds: 181,
      removes: 2,
      inactiveSegments: 0,
      unauthorizedSegments: 0,
      invalidSegments: 0,
      otherErrors: 0,
    };
    assert.deepEqual(report, {
      aggregated: true,
      hours: [
        {
          hour: '2015-11-08T01:00:00.000Z',
          member: 123,
          matchRate: 87.7,
          counts,
          invalidUsers: null,
          validUsers: null,
          inactiveSegments: null,
          unauthorizedSegments: null,
          invalidSegments: null,
          validSegments: null,
          additions: null,
          removals: null,
          otherLines: null,
          raw: caseReply('10-usage-aggregated').response.report,
        },
      ],
      total: { ...counts, matchRate: 87.7 },
    });
  });

  it('contain everything of the documented hours, with separate users, segments, additions and removals', () => {
    const { aggregated, hours, total } = cleanCase('11-usage-hourly');
    const user = '1580557697843484206';
    const segments = [
      { id: 3737552, code: 'segment_3737552', memberId: 123 },
      { id: 3737547, code: 'segment_3737547', memberId: 123 },
    ];
    const of = (expirationMinutes: number) =>
      segments.map(({ id }) => ({ userId: user, segmentId: id, expirationMinutes }));
    assert.equal(aggregated, false);
    assert.deepEqual(
      hours.map(({ hour, member, matchRate }) => [hour, member, matchRate]),
      [
        ['2015-11-03T18:00:00.000Z', 123, 100],
        ['2015-11-03T19:00:00.000Z', 123, 50],
      ],
    );
    const [first, second] = hours;
    assert.deepEqual(
      [first!.validUsers, first!.validSegments, first!.additions, first!.removals, first!.invalidUsers],
      [[user], segments, of(1440), [], []],
    );
    assert.deepEqual(
      [second!.invalidUsers, second!.inactiveSegments, second!.additions, second!.removals],
      [['15805576978434842'], [{ id: 321456, code: 'segment_312456', memberId: 123 }], [], of(-1)],
    );
    assert.deepEqual(
      [second!.invalidSegments, second!.unauthorizedSegments, second!.otherLines],
      [
        [{ id: 0, code: 'segment_654321', memberId: 123 }],
        [{ id: 0, code: 'segment_123456', memberId: 123 }],
        [],
      ],
    );
    assert.deepEqual(total, {
      validUsers: 2,
      invalidUsers: 1,
      adds: 2,
      removes: 2,
      inactiveSegments: 1,
      unauthorizedSegments: 1,
      invalidSegments: 1,
      otherErrors: 0,
      matchRate: 66.7,
    });
    assert.deepEqual(
      hours.map(({ raw }) => raw),
      caseReply('11-usage-hourly').response.report,
    );
  });

  it('have no match rate without users', () => {
    assert.equal(cleanReport({ aggregated: false, hours: [] }).total.matchRate, null);
  });
});
