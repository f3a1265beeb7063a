// Findings as sentences, and the hourly call, without Node-RED.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { told } from '../../nodes/audience-usage/report';
import { everyHour, reporter } from '../../nodes/audience-usage/schedule';
import { hourMs } from '../../src/queue/hour-ring';
import type { Finding, NoEffectFinding } from '../../src/usage/findings';
import { checkRange, rangeOfFullHours, rangeUntilNow } from '../../src/usage/ranges';
import { FakeClock } from '../delivery/support/fake-clock';

function wordsIn(language: string) {
  const file = path.join(
    __dirname,
    '..',
    '..',
    'nodes',
    'audience-usage',
    'locales',
    language,
    'audience-usage.json',
  );
  const all = JSON.parse(readFileSync(file, 'utf8'));
  return {
    _: (key: string, params: Record<string, unknown> = {}): string => {
      const text: unknown = key.split('.').reduce((at, part) => at?.[part], all);
      assert.ok(typeof text === 'string', `${language} has no ${key}`);
      return text.replace(/__(\w+?)__/g, (_, name: string) => {
        assert.notEqual(params[name], undefined, `${key} needs ${name}`);
        return String(params[name]);
      });
    },
  };
}

const segment = (changes: Partial<NoEffectFinding>): NoEffectFinding => ({
  kind: 'inactiveSegment',
  segment: 12,
  code: 'sale',
  member: 9,
  adds: 4120,
  removes: 0,
  ...changes,
});
const all: Finding[] = [
  segment({}),
  segment({ kind: 'unauthorizedSegment', segment: 'theirs', adds: 1, removes: 2 }),
  segment({ kind: 'unknownSegment', adds: 0, removes: 1 }),
  segment({ adds: 0 }),
  { kind: 'unknownUsers', users: 1234, percent: 12.5, associations: 2000, sample: [] },
  { kind: 'notProcessed', users: 5, associations: 6, since: '2026-01-05T10:00:00.000Z' },
  { kind: 'unconfirmed', users: 5, associations: 6, since: '2026-01-05T10:00:00.000Z' },
  { kind: 'otherErrors', errors: 3 },
];
const sentences = (language: string): string[] =>
  all.map((finding) => told(wordsIn(language), finding).sentence);

describe('findings in words', () => {
  it('name the problem and its extent in English', () => {
    assert.deepEqual(sentences('en-US').slice(0, 5), [
      'segment 12 is inactive: 4,120 adds had no effect',
      'segment “theirs” of member 9 may not be filled by this member: 1 add and 2 removals had no effect',
      'segment 12 does not exist: 1 removal had no effect',
      'segment 12 is inactive: nothing was sent to it from here',
      '1,234 users (12.5 %) not known to the platform: 2,000 of the sent associations had no effect',
    ]);
  });

  it('have every word in every language, with its figures as they are written there', () => {
    assert.match(sentences('de')[0]!, /^Segment 12 ist inaktiv: 4\.120 Hinzufügungen/);
    assert.match(sentences('de')[4]!, /^1\.234 Nutzer \(12,5 %\)/);
    assert.match(sentences('ja')[0]!, /^セグメント12は非アクティブです: 追加4,120件/);
    assert.match(sentences('en-US')[5]!, / sent since Jan 5, 2026, 10:00 UTC,/);
    assert.match(sentences('de')[5]!, /, gesendet seit 5\. Jan\. 2026, 10:00 UTC,/);
    assert.match(sentences('ja')[5]!, /^2026年1月5日 10:00 UTC以降/);
    for (const language of ['en-US', 'de', 'ja']) assert.equal(new Set(sentences(language)).size, all.length);
  });

  it('keep the properties that flows use', () => {
    assert.deepEqual({ ...told(wordsIn('en-US'), all[0]!), sentence: '' }, { ...all[0], sentence: '' });
  });
});

describe('the report of an hour', () => {
  it('is made once, by the active instance, and made up for while that is unknown', () => {
    assert.equal(reporter({ kind: 'standby', sender: 'node-2' }), 'elsewhere');
    assert.equal(reporter({ kind: 'standby', sender: null }), 'unknown');
    assert.equal(reporter({ kind: 'databaseAway', message: '', kept: 1 }), 'unknown');
    for (const kind of ['idle', 'working', 'paused', 'starting'] as const)
      assert.equal(reporter({ kind }), 'here');
    assert.equal(reporter(null), 'here');
  });
});

describe('the call of every hour', () => {
  it('comes once an hour, some minutes after it, until it is ended', async () => {
    for (const random of [0, 0.5, 0.999]) {
      const clock = new FakeClock();
      const calls: number[] = [];
      const end = everyHour(
        () => calls.push(clock.wallMs() % hourMs),
        clock,
        () => random,
      );
      await clock.advance(24 * hourMs);
      assert.equal(calls.length, 24);
      for (const at of calls) assert.ok(at >= 5 * 60_000 && at < 7 * 60_000, String(at));
      end();
      await clock.advance(2 * hourMs);
      assert.equal(calls.length, 24);
    }
  });
});

describe('the ranges of a report', () => {
  const now = Date.UTC(2026, 0, 5, 10, 20);
  const text = ({ fromMs, toMs }: { fromMs: number; toMs: number }): string =>
    [fromMs, toMs].map((ms) => new Date(ms).toISOString().slice(5, 19)).join(' ');

  it('end now for a message, and begin with a full hour', () => {
    assert.equal(text(rangeUntilNow('hour', now)), '01-05T09:00:00 01-05T10:20:00');
    assert.equal(text(rangeUntilNow('day', now)), '01-04T10:00:00 01-05T10:20:00');
    assert.equal(text(rangeUntilNow('twoWeeks', now)), '12-22T10:00:00 01-05T10:20:00');
  });

  it('have full hours only for a report by itself, which makes up for those that failed, a day at the most', () => {
    const at = (hour: number) => Date.UTC(2026, 0, 5, hour);
    assert.equal(text(rangeOfFullHours('hour', now, null)), '01-05T09:00:00 01-05T09:59:59');
    assert.equal(text(rangeOfFullHours('hour', now, at(9))), '01-05T09:00:00 01-05T09:59:59');
    assert.equal(text(rangeOfFullHours('hour', now, at(6))), '01-05T06:00:00 01-05T09:59:59');
    assert.equal(text(rangeOfFullHours('hour', now, 0)), '01-04T10:00:00 01-05T09:59:59');
    assert.equal(text(rangeOfFullHours('day', now, at(6))), '01-04T10:00:00 01-05T09:59:59');
  });

  it('of a user end now at the latest, and are refused if reversed, in the future, or too long', () => {
    assert.equal(text(checkRange(now - hourMs, now + hourMs, now) as never), '01-05T09:20:00 01-05T10:20:00');
    assert.equal(checkRange(now - 1, now - 2, now), 'range_order');
    assert.equal(checkRange(now + 1, now + 2, now), 'range_future');
    assert.equal(checkRange(now - 720 * hourMs, now, now), 'range_long');
  });
});
