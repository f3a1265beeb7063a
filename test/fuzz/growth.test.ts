// Reading four times as much text takes about four times as long, whatever the text: a pattern that tries every way to
// divide a run of blanks, zeros or brackets would take sixteen or sixty-four times as long.
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { readSettings } from '../../nodes/account/settings';
import { checkEntry } from '../../src/entry/check';
import { textProblem, userIdProblem } from '../../src/entry/keys';
import { readEntries } from '../../src/entry/read-input';
import { mentions } from '../../src/delivery/respond/rejections';
import { signJwt } from '../../src/service/login/jwt';
import { readPostReply } from '../../src/service/reply/response-classifier';
import { retryAfterMs } from '../../src/service/reply/retry-after';
import { parseUsage } from '../../src/service/usage';
import { verdicts } from '../../src/service/reply/verdicts';

/** How the text starts, what is in it over and over, and what ends it so that nothing fits after all. */
const parts: readonly (readonly [start: string, part: string, end: string])[] = [
  ['', ' ', 'x'],
  ['', ' ', '\n'],
  ['', '0', 'x'],
  ['', '-', 'x'],
  ['', '0-', 'x'],
  ['', '\t \n', 'x'],
  ['', '(', 'x'],
  ['', '( ', ')'],
  ['', '(1,', 'x'],
  ['', "(1,'", 'x'],
  ['', "(1,'\\", 'x'],
  ['', '(1,"', "'"],
  ['', "'", ', 1, 2)'],
  ['', "('a', 1, 2", 'x'],
  ['', '(1, 2, 3) ', 'x'],
  ['', 'a (', ':'],
  ['', 'A ', ':'],
  ['', '(b) ', ':'],
  ['', ',', 'x'],
  ['', '{ ', ']'],
  ['', '} ', 'x'],
  ['', '<', 'x'],
  ['', '/', 'x'],
  ['', 'eyJ-', 'x'],
  ['', 'for user_id: ', '\nx'],
  ['', 'RATE_EXCEEDE', 'D'],
  ['', '-----BEGIN A-----', 'x'],
  ['', '-----BEGIN A-----\n-----END B-----', 'x'],
  ['', 'Wed, 21 ', 'x'],
  ['', '1.', 'x'],
  ['(', ' ', 'x'],
  ["('", ' ', ', 1'],
  ['(1, ', ' ', 'x'],
  ["(1, 'a'", ' ', 'x'],
  ['A', ' ', 'x'],
  ['A (', ' ', 'x'],
];
const shortChars = 20_000;

/** What reads text of others, each in the place where it comes in. */
const readers: Readonly<Record<string, (text: string) => unknown>> = {
  'the additions of usage statistics': (text) =>
    parseUsage({ status: 'OK', report: { segment_log_lines: `Valid additions (user id): ${text}` } }),
  'the segments of usage statistics': (text) =>
    parseUsage({ status: 'OK', report: { error_log_lines: `Inactive segments: ${text}` } }),
  'the users of usage statistics': (text) =>
    parseUsage({ status: 'OK', report: { error_log_lines: `Inactive users: ${text}` } }),
  'a line of usage statistics': (text) =>
    parseUsage({ status: 'OK', report: { processed_hour: text, error_log_lines: text } }),
  'a refusal': (text) => readPostReply({ status: 400, headers: {}, body: text }),
  'the words of a refusal': (text) =>
    readPostReply({ status: 200, headers: {}, body: JSON.stringify({ error_id: 'SYNTAX', error: text }) }),
  'a warning': (text) =>
    verdicts(
      [{ user_id: '1', seg_block: [{ seg_id: 1 }] }],
      [{ message: `for user_id: ${text}`, entity: null }],
    ),
  'Retry-After': (text) => retryAfterMs({ 'retry-after': text }, 0),
  'an id': (text) => [userIdProblem(text, 'idfa'), userIdProblem(text, null), textProblem(text)],
  'each field of an entry': (text) =>
    checkEntry({
      user_id: text,
      domain: text,
      event_time: text,
      seg_block: [{ seg_code: text, member_id: text, value: text, expiration: text }],
    }),
  'a payload': (text) => readEntries(text),
  'a log line, for a user who is erased': (text) => mentions('a'.repeat(200))(text),
  'a private key': (text) => signJwt({ username: 'u', keyName: 'k', privateKey: text }, 0),
  "an account's settings": (text) =>
    readSettings({
      environment: 'custom',
      authUrl: `http://localhost/${text}`,
      serviceUrl: `http://localhost/${text}`,
      member: '1',
      username: 'u',
      password: 'p',
    }),
};

/** The fastest of some, since others use the machine too. */
function fastestMs(read: () => unknown): number {
  let best = Infinity;
  for (let time = 0; time < 5; time += 1) {
    const startedMs = performance.now();
    read();
    best = Math.min(best, performance.now() - startedMs);
  }
  return best;
}

describe('the time to read', function () {
  this.timeout(60_000);

  for (const [what, read] of Object.entries(readers)) {
    it(`${what} grows with the length of the text, and no faster`, () => {
      for (const [start, part, end] of parts) {
        const text = (chars: number): string => start + part.repeat(chars / part.length) + end;
        const [short, long] = [text(shortChars), text(4 * shortChars)];
        const shortMs = fastestMs(() => read(short));
        const longMs = fastestMs(() => read(long));
        // The slack is for a machine that does something else meanwhile.
        assert.ok(
          longMs < 10 * shortMs + 50,
          `${JSON.stringify(start + part)}: ${shortMs.toFixed(1)} ms, ${longMs.toFixed(1)} ms for four times as much`,
        );
      }
    });
  }
});
