// Foreign text in our sentences: no character ends a line, moves the cursor, hides text or changes its direction.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { builderSchema } from '../../nodes/segment-builder/schema';
import { readSaved } from '../../nodes/shared/saved';
import { compileBuilder } from '../../src/entry/mapping/build';
import type { BuilderConfig } from '../../src/entry/mapping/builder-config';
import { checkEntry } from '../../src/entry/check';
import { readErasedUser } from '../../src/entry/keys';
import { printable } from '../../src/entry/foreign-text';
import { sentence } from '../../src/entry/issues';
import { shorten, shortenThrown } from '../../src/entry/shorten';
import { readEntries } from '../../src/entry/read-input';
import { QueueError } from '../../src/queue/store';
import { toPostgresError } from '../../src/queue-postgres/postgres-errors';
import { toQueueError } from '../../src/queue/sqlite/sqlite-errors';
import { readPostReply } from '../../src/service/reply/response-classifier';
import { verdicts } from '../../src/service/reply/verdicts';

/** Texts that forge a log line, move the cursor up, run backwards, or contain line ends of editors only. */
const hostile = [
  'x\n28 Nov 01:00:00 - [info] forged',
  'x\r\x1b[2A\x1b[2Kforged',
  'abc\u202egnp.exe',
  'a\u2028b\u2029c\u0085d',
  'a\u200bb\ufeffc\u2066d\u061ce',
  'a\u0000b\u0007c\u007fd',
];
const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

const anyText = fc.oneof(fc.constantFrom(...hostile), fc.string({ unit: 'binary', maxLength: 300 }));

function isClean(text: string): void {
  assert.doesNotMatch(text, hidden, JSON.stringify(text));
}

describe('printable text', () => {
  it('has escapes for hidden characters', () => {
    assert.equal(printable('a\nb\tc\u202ed', 20), 'a\\nb\\tc\\u202ed');
    assert.equal(printable('Müller, 東京, 😀, C:\\x', 30), 'Müller, 東京, 😀, C:\\x');
  });

  it('has at most the given length, and splits no surrogate pair', () => {
    assert.equal(printable('abcdef', 3), 'abc…');
    assert.equal(printable('ab😀', 3), 'ab…');
    assert.equal(printable('abc', 3), 'abc');
  });

  it('contains no hidden character, and stays unchanged when made printable again', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 400 }), (text, maxChars) => {
        const once = printable(text, maxChars);
        isClean(once);
        assert.equal(printable(once, once.length), once);
        assert.ok(once.length <= 8 * maxChars + 1);
      }),
    );
  });
});

describe('foreign text in a sentence is made printable', () => {
  const all = (what: string, textsOf: (text: string) => readonly string[]): void => {
    it(what, () => {
      fc.assert(
        fc.property(anyText, (text) => {
          for (const one of textsOf(text)) isClean(one);
        }),
        { examples: hostile.map((text) => [text] as [string]) },
      );
    });
  };
  const sentencesOf = (entry: unknown): string[] => {
    const checked = checkEntry(entry);
    return checked.ok ? [] : checked.issues.flatMap((issue) => [sentence(issue), issue.path]);
  };
  const block = { seg_id: 1 };

  all('in unknown keys of an entry and of a block', (text) =>
    sentencesOf({ user_id: '7', [`k${text}`]: 1, seg_block: [{ ...block, [`k${text}`]: 1 }] }),
  );
  all('in ids, domains, codes, times and numbers', (text) => [
    ...sentencesOf({ user_id: `${text}\ud800`, domain: text, event_time: text, seg_block: [block] }),
    ...sentencesOf({ user_id: text, domain: 'idfa', custom_domain: text, seg_block: text }),
    ...sentencesOf({ user_id: '7', seg_block: [{ seg_code: `${text} `, member_id: text, value: text }] }),
  ]);
  all('in exceptions of getters, and in tags of objects', (text) => {
    const throws = Object.defineProperty({}, 'user_id', {
      enumerable: true,
      get: () => {
        throw new Error(text);
      },
    });
    return [...sentencesOf(throws), shortenThrown(new Error(text)), shorten({ [Symbol.toStringTag]: text })];
  });
  all('in a payload and in a user to erase', (text) => {
    const read = readEntries(text);
    const erased = readErasedUser(`${text}\ud800`, text);
    return [read.ok ? '' : sentence(read.issue), erased.ok ? '' : sentence(erased.issue)];
  });
  all('in the properties of a builder', (text) => {
    const row = { by: text, segment: text, segmentType: text, expirationUnit: text };
    const saved = {
      source: text,
      userId: text,
      userIdType: text,
      domain: text,
      segments: [row],
      allowCustomDomain: text,
    };
    const wrong = readSaved(builderSchema(saved), saved);
    const params = wrong.ok ? [] : wrong.problems.flatMap(({ params }) => Object.values(params).map(String));
    const failing = compileBuilder(
      {
        source: 'message',
        userId: `a${text}`,
        userIdType: 'msg',
        domain: '',
        domainType: 'str',
        action: 'remove',
        segments: [{ by: 'id', segment: '1', segmentType: 'num' }],
      } as unknown as BuilderConfig,
      () => {
        throw new Error(text);
      },
      () => null,
    );
    return [...params, ...(failing.ok ? [] : failing.issues.map(sentence))];
  });
  all("in the service's refusals and warnings", (text) => {
    const body = JSON.stringify({ response: { error_id: text, error: text } });
    const outcome = readPostReply({ status: 400, headers: {}, body });
    const warnings = [
      { message: text, entity: { user_id: '7' } },
      { message: `No valid segments for user_id: ${text}`, entity: null },
      { message: `'seg_block' is required${text}`, entity: { user_id: '8' } },
    ];
    const sent = ['7', '8', '9'].map((user_id) => ({ user_id, seg_block: [block] }));
    const texts = verdicts(sent, warnings).flatMap((verdict) => {
      if (verdict.kind === 'accepted') return verdict.warnings;
      return verdict.kind === 'rejected' ? [verdict.message] : [];
    });
    return ['message' in outcome ? outcome.message : '', ...texts];
  });
  all('in errors of databases, drivers and the file system', (text) => {
    const address = { hosts: [], database: text, user: undefined, password: undefined } as const;
    const place = { ...address, ssl: false, plainIfRefused: false, where: text } as const;
    return [
      toPostgresError(new Error(text), place, 'schema').message,
      toQueueError(new Error(text), `/data/${text}.sqlite`).message,
      new QueueError('failed', text).message,
    ];
  });
});
