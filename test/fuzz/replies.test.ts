// What the service, or something between, may answer: every reading of a reply comes to an outcome with a sentence.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';

import type { AuthOutcome, PostOutcome, ReadOutcome } from '../../src/service/reply/outcome';
import {
  readAuthReply,
  readPostReply,
  readReply,
  type HttpReply,
} from '../../src/service/reply/response-classifier';
import { parseSegmentPage } from '../../src/service/segments';
import { parseUsage } from '../../src/service/usage';
import { cleanReport } from '../../src/service/usage-report';
import { verdicts, type SentEntry } from '../../src/service/reply/verdicts';
import { fuzz, timeoutMs } from './cases';
import { mutated, wildJson, wildText } from './wild';

interface Case {
  readonly request?: { readonly rt_segment?: readonly SentEntry[] };
  readonly reply?: unknown;
}

const folder = path.join(__dirname, '..', 'cases');
const documented = readdirSync(folder).map(
  (file) => JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Case,
);

const segments = {
  response: {
    status: 'OK',
    count: 2,
    segments: [
      {
        id: 1,
        code: 'a',
        short_name: 'A',
        state: 'active',
        member_id: 7,
        expire_minutes: null,
        last_modified: '2015-11-08 01:00:00',
      },
      {
        id: 2,
        code: null,
        short_name: 'B',
        state: 'inactive',
        member_id: 7,
        expire_minutes: 1440,
        last_modified: null,
      },
    ],
  },
};
const usageLines = {
  response: {
    status: 'OK',
    report: [
      {
        processed_hour: '2015-11-08 01:00:00',
        member_id: 123,
        error_log_lines:
          "inactive users: 1,2\nunauthorized segments (id, code, owner): (1, u'a', 7), (2, None, 8)\n",
        segment_log_lines: "valid additions: ('1', 2, 3)\nvalid removals (x): (1,2,-1)",
      },
    ],
  },
};

const secret = 'hbapi:1:secret-of-the-call:nym2';
const replies = [
  ...documented.flatMap(({ reply }) => (reply === undefined ? [] : [reply])),
  segments,
  usageLines,
];
const sentIn = documented.flatMap(({ request }) =>
  request?.rt_segment === undefined ? [] : [request.rt_segment],
);

/** As text: JSON, some of it cut, with bytes of another encoding, or not JSON at all. */
const body: fc.Arbitrary<string> = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: mutated(replies, wildJson).map(textOf) },
      { weight: 1, arbitrary: wildText },
      {
        weight: 1,
        arbitrary: fc
          .constantFrom('[', '{"a":', '{"response":{"status":"OK","warnings":[')
          .map((open) => open.repeat(50_000)),
      },
    ),
    fc.constantFrom('whole', 'whole', 'whole', 'cut', 'latin1', 'utf16', 'bom', 'token'),
    fc.double({ min: 0, max: 1, noNaN: true }),
  )
  .map(([text, how, part]) => {
    if (how === 'cut') return text.slice(0, Math.floor(text.length * part));
    if (how === 'latin1') return Buffer.from(text, 'latin1').toString('utf8');
    if (how === 'utf16') return Buffer.from(text, 'utf16le').toString('utf8');
    if (how === 'bom') return `\ufeff${text}`;
    return how === 'token' ? text.replace('"', `"${secret}`) : text;
  });

/** By hand where it is deep: JSON.stringify calls itself for each level. */
function textOf(value: unknown): string {
  try {
    return value === undefined ? '' : JSON.stringify(value);
  } catch {
    return `{"response":{"status":"OK","warnings":${'['.repeat(60_000)}${']'.repeat(60_000)}}}`;
  }
}

const headers = fc.dictionary(
  fc.constantFrom('retry-after', 'Retry-After', 'date', 'x-ratelimit-code', 'content-type', '__proto__'),
  fc.oneof(
    wildText,
    fc.integer().map(String),
    fc.array(wildText, { maxLength: 3 }),
    fc.constantFrom('Wed, 21 Oct 2015 07:28:00 GMT, 3', '99999999999999999999', '-1', '0x10', '1e9'),
  ),
  { maxKeys: 4 },
);

const reply: fc.Arbitrary<HttpReply> = fc.record({
  status: fc.oneof(
    { weight: 3, arbitrary: fc.constant(200) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(201, 204, 301, 400, 401, 403, 404, 405, 407, 408, 429, 500, 502, 503, 504),
    },
    { weight: 1, arbitrary: fc.integer({ min: 100, max: 999 }) },
  ),
  headers,
  body,
  secrets: fc.constant([secret]),
});

function isTold(outcome: PostOutcome | AuthOutcome | ReadOutcome<unknown>): void {
  if (!('message' in outcome)) return;
  const { message } = outcome;
  assert.ok(message.length > 10 && message.length < 2_500, `${message.length} characters`);
  assert.ok(!message.includes('secret-of-the-call'), 'a secret is told');
  if ('retryAfterMs' in outcome) {
    assert.ok(
      outcome.retryAfterMs >= 1_000 && outcome.retryAfterMs <= 3_600_000,
      String(outcome.retryAfterMs),
    );
  }
}

/** What becomes part of a message, or is kept, must go through Node-RED's copying. */
function isShallow(value: unknown): void {
  structuredClone(value);
  JSON.stringify(value);
}

describe('a reply of any form', function () {
  this.timeout(timeoutMs);

  it('to a post comes to an outcome, and to one verdict for each entry', () => {
    fuzz(fc.tuple(reply, fc.constantFrom(...sentIn)), 2_000, ([answer, sent]) => {
      const outcome = readPostReply(answer, 1_700_000_000_000);
      isTold(outcome);
      if (outcome.kind !== 'accepted') return;
      const found = verdicts(sent, outcome.warnings);
      assert.equal(found.length, sent.length);
      isShallow(found.map((one) => (one.kind === 'partly' ? [...one.blocks] : one)));
      for (const one of found) {
        if (one.kind === 'rejected') assert.ok(one.code !== '' && one.message !== '');
        if (one.kind === 'partly') assert.ok(one.blocks.size > 0);
      }
    });
  });

  it('to an authentication comes to a token that fits into a header, or to a reason', () => {
    fuzz(reply, 1_000, (answer) => {
      const outcome = readAuthReply(answer, 1_700_000_000_000);
      isTold(outcome);
      if (outcome.kind === 'token') assert.match(outcome.token, /^[\x21-\x7e]+$/);
    });
  });

  it('to a question for segments or usage comes to what is asked for, or to a reason', () => {
    fuzz(reply, 2_000, (answer) => {
      const page = readReply(answer, parseSegmentPage, 1_700_000_000_000);
      isTold(page);
      if (page.kind === 'read') {
        isShallow(page.value);
        assert.ok(page.value.received >= page.value.segments.length);
      }
      const usage = readReply(answer, parseUsage, 1_700_000_000_000);
      isTold(usage);
      if (usage.kind === 'read') isShallow(cleanReport(usage.value));
    });
  });
});
