// Words of the tab Audience: every key that the scripts use, in every language, with the same placeholders.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { issueSentences } from '../../src/entry/issues';
import { tabStyle } from '../../nodes/sidebar/editor/style';
import { sentenceOf } from '../../nodes/sidebar/editor/calls';
import { problemsOf } from '../../nodes/sidebar/editor/card/problems';
import { duration, number, shortNumber, time } from '../../nodes/sidebar/editor/words';
import type { ShownQueue, ShownState } from '../../nodes/sidebar/overview';
import { conditionOf, loginRefusals, loginWait } from '../../nodes/shared/queue-state';
import type { Trouble } from '../../nodes/account/queue/trouble';
import { serviceCodes } from '../docs/sentences';
import { lookUp, read, type Words } from './bundle';

const languages = ['en-US', 'de', 'ja'];
const folder = path.join(__dirname, '..', '..', 'nodes', 'sidebar', 'editor');
const wordsIn = (language: string): Words =>
  JSON.parse(read('sidebar', `locales/${language}/sidebar.json`)) as Words;

function flat(words: Words, before = ''): [string, string][] {
  return Object.entries(words).flatMap(([key, value]): [string, string][] =>
    typeof value === 'string' ? [[before + key, value]] : flat(value as Words, `${before}${key}.`),
  );
}

const marksOf = (text: string): string[] => [...text.matchAll(/__\w+?__/g)].map(([mark]) => mark).sort();

/** Keys that are written out in the scripts, with the placeholders that they get. */
function asked(): { key: string; params: string[] }[] {
  const files = [
    ...globSync('**/*.ts', { cwd: folder }).map((file) => path.join(folder, file)),
    path.join(folder, '..', 'editor.ts'),
  ];
  return files.flatMap((file) => {
    const code = readFileSync(file, 'utf8');
    return [...code.matchAll(/\bword\(\s*'([\w.]+)'(?:,\s*\{([^}]*)\})?/g)].map(([, key, params = '']) => ({
      key: key!,
      params: [...params.matchAll(/(?:^|[,\n])\s*(\w+)(?=\s*[:,}]|\s*$)/g)].map(([, name]) => `__${name!}__`),
    }));
  });
}

/** The keys are the type's, so that none can be missing. */
const codes = Object.keys({
  damaged: 1,
  readonly: 1,
  full: 1,
  locked: 1,
  newer_version: 1,
  encrypted: 1,
  closed: 1,
  failed: 1,
  fenced: 1,
  unexpected: 1,
  database_damaged: 1,
  database_readonly: 1,
  database_full: 1,
  database_locked: 1,
  database_newer_version: 1,
  database_unavailable: 1,
  database_closed: 1,
  database_failed: 1,
  database_fenced: 1,
} satisfies Record<Exclude<Trouble['trouble'], 'database_encrypted'>, 1>);

const rest = { look: 'waiting', key: 'trouble', secondsLeft: null } as const;
const problemOf = (state: ShownState): ReturnType<typeof problemsOf> =>
  problemsOf({ state, segments: [], late: false } as unknown as ShownQueue);

describe('the words of the tab Audience', () => {
  const english = flat(wordsIn('en-US'));

  it('are there for every key that the scripts write out', () => {
    const keys = asked();
    assert.ok(keys.length > 50);
    for (const { key } of keys) assert.ok(lookUp(wordsIn('en-US'), key), key);
  });

  it('get a value for each of their placeholders', () => {
    for (const { key, params } of asked()) {
      if (params.length === 0) continue;
      assert.deepEqual([...params].sort(), [...new Set(marksOf(lookUp(wordsIn('en-US'), key) ?? ''))], key);
    }
  });

  it('name every figure, chart and item of the menu', () => {
    const figures = 'inFlight drain accepted superseded expired rejected invalid';
    for (const figure of figures.split(' ')) assert.ok(lookUp(wordsIn('en-US'), `figure.${figure}`), figure);
    for (const item of ['flush', 'retry', 'export'])
      for (const key of [`button.${item}`, `tip.${item}`]) assert.ok(lookUp(wordsIn('en-US'), key), key);
    for (const figure of ['pending', 'rate', 'oldest', 'rejected'])
      assert.ok(lookUp(wordsIn('en-US'), `line.${figure}`), figure);
    for (const chart of ['rate', 'queue', 'latency']) assert.ok(lookUp(wordsIn('en-US'), `chart.${chart}`));
  });

  it('name every reason for which an entry is invalid or rejected', () => {
    const ofService = serviceCodes(path.join(__dirname, '..', '..', 'src')).map(({ code }) => code);
    assert.ok(ofService.length > 3);
    for (const code of [...Object.keys(issueSentences), ...ofService, 'other'])
      assert.ok(lookUp(wordsIn('en-US'), `code.${code}`), code);
  });

  it('have a long sentence for each problem of a queue, and none for anything else', () => {
    const states: Parameters<typeof conditionOf>[0][] = [
      { kind: 'paused' },
      { kind: 'rateLimited', untilMs: 9 },
      { kind: 'trouble', code: 'timeout', message: '' },
      { kind: 'trouble', code: 'http_500', message: '' },
      { kind: 'refusing', message: '' },
      { kind: 'databaseAway', message: '', kept: 0 },
      { kind: 'standby', sender: null },
    ];
    const waits = [
      'tls',
      'private_key',
      'login_incomplete',
      'authentication_limit',
      'http_403',
      'http_404',
      'http_500',
    ];
    const keys = [
      ...states.map((state) => conditionOf(state, null, 0).key),
      ...Object.values(loginRefusals),
      ...waits.map((code) => loginWait(code).key),
    ];
    const sentences = wordsIn('en-US').problem as Words;
    assert.deepEqual(Object.keys(sentences).sort(), [...new Set(keys)].sort());
  });

  for (const language of languages.slice(1)) {
    it(`are complete in ${language}, in the same order, with the same placeholders, and translated`, () => {
      const other = flat(wordsIn(language));
      assert.deepEqual(
        other.map(([key]) => key),
        english.map(([key]) => key),
      );
      other.forEach(([key, text], at) => {
        const [, original] = english[at]!;
        assert.notEqual(text.trim(), '', key);
        assert.deepEqual(marksOf(text), marksOf(original), key);
        if (/[a-z]+( [a-z]+){3}/.test(original)) assert.notEqual(text, original, key);
      });
    });
  }

  for (const language of languages) {
    describe(`for what went wrong, in ${language}`, () => {
      const words = wordsIn(language);
      const namespace = /^@instant-audience\/node-red-xandr\/instant-audience-sidebar:/;
      const page = globalThis as { RED?: unknown };
      before(() => {
        // As the editor does, a key without a word comes back as it is, and so does a value that is not given.
        const _ = (key: string, params: Record<string, string | number>): string =>
          (lookUp(words, key.replace(namespace, '')) ?? key).replace(/__(\w+?)__/g, (mark, name: string) =>
            String(params[name] ?? mark),
          );
        page.RED = { _, i18n: { lang: () => language } };
      });
      after(() => delete page.RED);

      it('say it of a queue for every code, without the system’s sentence where none is needed', () => {
        const reason = 'The queue file /somewhere is in a bad way.';
        for (const code of codes) {
          const text = sentenceOf({ status: 500, body: { code: 'failed', trouble: code, reason } });
          const sentence = lookUp(words, `trouble.${code}`)!;
          assert.ok(text.includes(sentence.replace('__reason__', reason)), text);
          assert.doesNotMatch(text, /__/);
          assert.equal(text.includes(reason), sentence.includes('__reason__'), code);
          const state = { kind: 'outbox', code, message: reason, ...rest } as const;
          assert.deepEqual(
            problemOf(state).map(({ text: told }) => told),
            [sentence.replace('__reason__', reason)],
          );
        }
      });

      it('name the file, database or queue that was not reached', () => {
        const queue = { origin: 'https://a.example', member: '958' };
        const cases: [missed: Record<string, string>, words: string[]][] = [
          [{ file: 'x-1-12345678.sqlite' }, ['x-1-12345678.sqlite']],
          [{ host: 'db.example:5432', database: 'audience' }, ['db.example:5432', 'audience']],
          [{ ...queue, missed: 'queue' }, Object.values(queue)],
          [{ ...queue, missed: 'database' }, Object.values(queue)],
          [{ ...queue, missed: 'kept' }, Object.values(queue)],
        ];
        const texts = cases.flatMap(([missed, its]) =>
          ['erasedPartly', 'purgedPartly'].map((code) => {
            const body = { code, trouble: 'locked', reason: 'No.', entries: 3, inFlight: 1, ...missed };
            const text = sentenceOf({ status: 207, body });
            assert.doesNotMatch(text, /__/);
            for (const part of ['3', '1', ...its, lookUp(words, 'trouble.locked')!])
              assert.ok(text.includes(part), text);
            return text;
          }),
        );
        assert.equal(new Set(texts).size, texts.length, 'each says where');
      });

      it('leave out entries in flight or kept if there are none', () => {
        const said = (code: string, rest: number): string => {
          const text = sentenceOf({
            status: 200,
            body: { code, entries: 3, moved: 3, segments: 3, inFlight: rest, kept: rest },
          });
          assert.match(text, /3/);
          assert.doesNotMatch(text, /__/);
          return text;
        };
        for (const code of ['purged', 'erased', 'erasedSynced', 'moved']) {
          assert.doesNotMatch(said(code, 0), /0/, code);
          assert.match(said(code, 7), /7/, code);
        }
      });

      it('have numbers and times that are written as the language writes them', () => {
        const [whole, short, seconds] = {
          'en-US': ['4,120', '1.2M', '1.5 s'],
          de: ['4.120', '1,2M', '1,5 s'],
          ja: ['4,120', '1.2M', '1.5秒'],
        }[language]!;
        assert.equal(number(4120), whole);
        assert.equal(shortNumber(1_234_567), short);
        assert.equal(duration(1500), seconds);
        const purged = sentenceOf({ status: 200, body: { code: 'purged', entries: 4120, inFlight: 0 } });
        assert.ok(purged.includes(whole!), purged);
        const clock = time(Date.UTC(2020, 4, 3, 12, 1, 1));
        assert.match(clock, { 'en-US': /May \d.* [AP]M$/, de: /^\d\. Mai/, ja: /^5月\d日/ }[language]!);
      });

      it('leave a code that is not known in the system’s own words, and those of the service', () => {
        const text = sentenceOf({
          status: 500,
          body: { code: 'failed', trouble: 'new', reason: 'It fell over.' },
        });
        assert.ok(text.endsWith('It fell over.'), text);
        const message = 'The service answered 503.';
        const [problem] = problemOf({ kind: 'trouble', code: 'http_503', message, ...rest });
        assert.equal(problem!.detail, message);
        assert.equal(problem!.text, lookUp(words, 'problem.trouble'));
      });
    });
  }

  it('have no placeholder for which the editor would look for a plural', () => {
    for (const language of languages)
      for (const [key, text] of flat(wordsIn(language))) assert.ok(!text.includes('__count__'), key);
  });

  it('stand in the colours of Node-RED’s themes only', () => {
    const colours =
      /(?:^|[\s;{])(?:color|background|border(?!-radius)(?:-\w+)?|outline(?!-offset)):\s*([^;]+);/g;
    const values = [...tabStyle.matchAll(colours)].map(([, value]) => value!);
    assert.ok(values.length > 15);
    for (const value of values)
      assert.match(value, /^(0|none|inherit|(\dpx \w+ )?var\(--red-ui-[\w-]+\)( !important)?)$/);
    assert.doesNotMatch(tabStyle, /#[0-9a-f]{3,8}\b|rgba?\(|hsl/i);
  });

  it('does not call the oldest entry older than a limit that reads the same', () => {
    for (const language of languages) {
      const late = lookUp(wordsIn(language), 'late')!;
      assert.doesNotMatch(late, /longer than|länger als|超え/, language);
    }
  });
});
