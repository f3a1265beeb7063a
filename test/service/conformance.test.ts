// The client reads every documented reply (test/cases). test/sandbox/conformance.test.ts sends the requests to the
// sandbox.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAuthReply, readPostReply } from '../../src/service/reply/response-classifier';
import { parseSegmentPage } from '../../src/service/segments';
import { parseUsage } from '../../src/service/usage';
import { uncounted, verdicts, type SentEntry } from '../../src/service/reply/verdicts';

const folder = join(__dirname, '..', 'cases');
const cases = new Map(
  readdirSync(folder).map((file) => [file.slice(0, 2), JSON.parse(readFileSync(join(folder, file), 'utf8'))]),
);
const replyOf = (id: string) => cases.get(id).reply;
const sentOf = (id: string): SentEntry[] => cases.get(id).request.rt_segment;
const http = (reply: unknown, status = 200) => ({ status, headers: {}, body: JSON.stringify(reply) });

describe('the documented cases, read by the client', () => {
  it('are complete: nineteen', () => {
    const numbers = Array.from({ length: 19 }, (_, index) => String(index + 1).padStart(2, '0'));
    assert.deepEqual([...cases.keys()].sort(), numbers);
  });

  for (const id of ['01', '02', '03']) {
    it(`${id}: the post is accepted without warnings, for every entry`, () => {
      assert.deepEqual(readPostReply(http(replyOf(id))), {
        kind: 'accepted',
        warnings: [],
        counts: { users: 1, segments: 2 },
      });
      assert.deepEqual(verdicts(sentOf(id), []), [{ kind: 'accepted', warnings: [] }]);
    });
  }

  it('04: a thousand entries are accepted, the two beyond are sent again', () => {
    const { reply, request_users: users, request_entry: entry } = cases.get('04');
    const sent: SentEntry[] = Array.from({ length: users }, (_, index) => ({
      ...entry,
      user_id: index < 1000 ? `1${index}` : `2345678900987654321${index - 999}`,
    }));
    const outcome = readPostReply(http(reply));
    assert.ok(outcome.kind === 'accepted');
    assert.deepEqual(outcome.warnings, reply.response.warnings);
    assert.deepEqual(outcome.counts, { users: 1000, segments: 2000 });
    const blocks = sent.map(({ seg_block }) => seg_block.length);
    const entryVerdicts = verdicts(sent, outcome.warnings);
    assert.deepEqual(uncounted(outcome.counts, blocks, entryVerdicts), { users: 0, segments: 0 });
    const kinds = entryVerdicts.map(({ kind }) => kind);
    assert.deepEqual(kinds.slice(1000), ['again', 'again']);
    assert.ok(kinds.slice(0, 1000).every((kind) => kind === 'accepted'));
  });

  const nothingValid: Record<string, string> = {
    '05': "The service found nothing valid in the request: 'seg_id' or 'seg_code' and 'member_id' are required · No valid segments for user_id: 1.",
    '06': "The service found nothing valid in the request: 'seg_block' is required",
    '07': "The service found nothing valid in the request: 'user_id' is required and cannot be empty",
  };
  for (const [id, message] of Object.entries(nothingValid)) {
    it(`${id}: an OK reply that applied nothing is a refused body, with the reasons`, () => {
      assert.deepEqual(readPostReply(http(replyOf(id))), {
        kind: 'bodyRefused',
        code: 'no_valid_rt_segment',
        message,
      });
    });

    it(`${id}: its warnings also reject the entry`, () => {
      assert.deepEqual(
        verdicts(sentOf(id), replyOf(id).warnings).map(({ kind }) => kind),
        ['rejected'],
      );
    });
  }

  it('07: the null key of the documented entity makes no difference', () => {
    const bare = structuredClone(replyOf('07'));
    for (const { entity } of bare.warnings) {
      for (const block of entity.seg_block ?? entity.rt_segment[0].seg_block) delete block.seg_code;
    }
    assert.notDeepEqual(bare, replyOf('07'));
    assert.deepEqual(readPostReply(http(bare)), readPostReply(http(replyOf('07'))));
    assert.deepEqual(verdicts(sentOf('07'), bare.warnings), verdicts(sentOf('07'), replyOf('07').warnings));
  });

  it('08: the token is read', () => {
    assert.deepEqual(readAuthReply(http(replyOf('08'))), {
      kind: 'token',
      token: 'hbapi:123456:9876abcd54321:nym2',
    });
  });

  it('09: wrong credentials are a refused login, also with HTTP 200', () => {
    for (const status of [200, 401]) {
      const outcome = readAuthReply(http(replyOf('09'), status));
      assert.ok(outcome.kind === 'loginRefused');
      assert.equal(outcome.code, 'NOAUTH');
      assert.match(outcome.message, /"No match found for user\/pass"/);
    }
  });

  it('10: aggregated usage is one record without log lines', () => {
    const report = parseUsage(replyOf('10'));
    assert.deepEqual(report, {
      aggregated: true,
      hours: [
        {
          processedHour: '2015-11-08 01:00:00',
          processedHourMs: Date.UTC(2015, 10, 8, 1),
          memberId: 123,
          matchRate: 87.7,
          validUsers: 179,
          validAdds: 181,
          validRemoves: 2,
          invalidUsers: 25,
          unauthorizedSegments: 0,
          inactiveSegments: 0,
          invalidSegments: 0,
          otherErrors: 0,
          log: null,
          raw: replyOf('10').response.report,
        },
      ],
    });
  });

  it('11: hourly usage lists users, segments, additions and removals separately', () => {
    const report = parseUsage(replyOf('11'));
    const segments = [
      { id: 3737552, code: 'segment_3737552', memberId: 123 },
      { id: 3737547, code: 'segment_3737547', memberId: 123 },
    ];
    const nothing = {
      validUsers: [],
      inactiveUsers: [],
      validSegments: [],
      inactiveSegments: [],
      invalidSegments: [],
      unauthorizedSegments: [],
      additions: [],
      removals: [],
      other: [],
    };
    const userId = '1580557697843484206';
    assert.equal(report?.aggregated, false);
    assert.deepEqual(
      report.hours.map(({ matchRate, validAdds, validRemoves }) => [matchRate, validAdds, validRemoves]),
      [
        [100, 2, 0],
        [50, 0, 2],
      ],
    );
    assert.deepEqual(
      report.hours.map(({ log }) => log),
      [
        {
          ...nothing,
          validUsers: [userId],
          validSegments: segments,
          additions: [
            { userId, segmentId: 3737552, expirationMinutes: 1440 },
            { userId, segmentId: 3737547, expirationMinutes: 1440 },
          ],
        },
        {
          ...nothing,
          validUsers: [userId],
          inactiveUsers: ['15805576978434842'],
          validSegments: segments,
          inactiveSegments: [{ id: 321456, code: 'segment_312456', memberId: 123 }],
          invalidSegments: [{ id: 0, code: 'segment_654321', memberId: 123 }],
          unauthorizedSegments: [{ id: 0, code: 'segment_123456', memberId: 123 }],
          removals: [
            { userId, segmentId: 3737552, expirationMinutes: -1 },
            { userId, segmentId: 3737547, expirationMinutes: -1 },
          ],
        },
      ],
    );
    assert.deepEqual(report.hours[0]?.raw, replyOf('11').response.report[0]);
  });

  it('12: the larger of two Retry-After values counts', () => {
    const { status, headers, error } = cases.get('12');
    for (const body of [error, JSON.stringify({ error }), JSON.stringify({ response: { error } })]) {
      const outcome = readPostReply({ status, headers, body });
      assert.ok(outcome.kind === 'rateLimited');
      assert.equal(outcome.retryAfterMs, 24_000);
      assert.match(outcome.message, /request limit of 1000 reads/);
    }
  });

  it('14: a segment without a code is read, from a reply without a count', () => {
    const page = parseSegmentPage(replyOf('14'));
    assert.deepEqual(page, {
      segments: [
        {
          id: 11836,
          code: null,
          shortName: 'March 10',
          state: 'active',
          memberId: 185,
          expireMinutes: null,
          lastModified: '2010-03-10 23:23:48',
        },
      ],
      count: null,
      received: 1,
    });
  });

  it('13: a segment just made is read', () => {
    assert.deepEqual(
      parseSegmentPage(replyOf('13'))?.segments.map(({ id, code }) => [id, code]),
      [[102, 'yuichi-test-seg-02']],
    );
  });

  it('15: an error_code for a rate limit outweighs the error_id SYSTEM, whatever the status', () => {
    for (const status of [200, 405, 429]) {
      const outcome = readPostReply(http(replyOf('15'), status));
      assert.ok(outcome.kind === 'rateLimited', `HTTP ${status}: ${outcome.kind}`);
      assert.match(outcome.message, /request limit of 100 per 60 seconds/);
    }
  });

  it('16 and 17: a reply that shows its rate limit in headers alone is rate limited, with its wait', () => {
    const waits = ['16', '17'].map((id) => {
      const { status, headers } = cases.get(id);
      const outcome = readPostReply({ status, headers, body: '' });
      return outcome.kind === 'rateLimited' ? outcome.retryAfterMs : outcome.kind;
    });
    assert.deepEqual(waits, [24_000, 9_000]);
  });

  it('18 and 19: tokens of any form are read', () => {
    for (const id of ['18', '19'])
      assert.deepEqual(readAuthReply(http(replyOf(id))), {
        kind: 'token',
        token: replyOf(id).response.token,
      });
  });
});
