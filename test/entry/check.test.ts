// checkEntry: valid entries, their checked form, and issues.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { checkEntry, maxBlocks, maxIssues } from '../../src/entry/check';
import type { CheckedEntry } from '../../src/entry/entry';
import { userHead } from '../../src/entry/serialise';
import { entry } from './arbitraries';

function accepted(input: unknown, allowCustomDomain = false): CheckedEntry {
  const result = checkEntry(input, { allowCustomDomain });
  assert.ok(result.ok, JSON.stringify(result));
  return result.entry;
}

const block = { seg_id: 10001 };

describe('checkEntry', () => {
  it('accepts every entry of the documented valid requests', () => {
    const folder = path.join(__dirname, '..', 'cases');
    for (const file of readdirSync(folder).filter((name) => /^0[123]-/.test(name))) {
      const { request } = JSON.parse(readFileSync(path.join(folder, file), 'utf8'));
      for (const one of request.rt_segment) accepted(one);
    }
  });

  it('serialises an entry without null keys, with a separate expiration', () => {
    const checked = accepted({
      user_id: '12345678900987654321',
      domain: null,
      seg_block: [{ seg_id: 10001, seg_code: null, value: 1, expiration: 1440, member_id: null }],
    });
    assert.deepEqual(
      { ...checked },
      {
        userKey: ':12345678900987654321',
        spelling: '12345678900987654321',
        body: '{"user_id":"12345678900987654321","seg_block":[{"seg_id":10001,"value":1,"expiration":1440}]}',
        headChars: 47,
        headBytes: 47,
        blocks: [
          {
            key: 'i10001',
            kind: 'id',
            head: '{"seg_id":10001,"value":1',
            headBytes: 25,
            expiration: 1440,
            text: '{"seg_id":10001,"value":1,"expiration":1440}',
          },
        ],
        removes: false,
        eventTimeMs: null,
        ages: true,
      },
    );
  });

  it('gives blocks by code a key without case, but sends the code as given', () => {
    const [made] = accepted({ user_id: '7', seg_block: [{ seg_code: 'Küche', member_id: 1661 }] }).blocks;
    assert.equal(made!.key, 'c1661:küche');
    assert.equal(made!.kind, 'code');
    assert.equal(made!.head, '{"seg_code":"Küche","member_id":1661');
    assert.equal(made!.headBytes, Buffer.byteLength(made!.head));
  });

  it('distinguishes blocks that differ only in member, value or expiration', () => {
    const codes = [
      { seg_code: 'a', member_id: 1, value: 1, expiration: 1 },
      { seg_code: 'a', member_id: 2, value: 1, expiration: 1 },
      { seg_code: 'a', member_id: 1, value: 2, expiration: 1 },
      { seg_code: 'a', member_id: 1, expiration: 1 },
      { seg_code: 'a', member_id: 1, value: 1 },
      { seg_code: '12', member_id: 1 },
      { seg_id: 12 },
    ];
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(JSON.parse(accepted({ user_id: '7', seg_block: codes }).body).seg_block, codes);
    }
  });

  it('serialises any valid entry like JSON.stringify, with exact byte counts', () => {
    fc.assert(
      fc.property(entry, (input) => {
        const checked = accepted(input);
        const { custom_domain: _, ...expected } = input;
        if (expected.domain === null) delete expected.domain;
        assert.deepEqual(JSON.parse(checked.body), JSON.parse(JSON.stringify(expected)));
        assert.equal(checked.headBytes, Buffer.byteLength(userHead(checked)));
        for (const one of checked.blocks) assert.equal(one.headBytes, Buffer.byteLength(one.head));
        assert.equal(
          checked.removes,
          input.seg_block.some((one) => one.expiration === -1),
        );
      }),
    );
  });

  it('refuses any other value without throwing', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }), (input) => {
        const result = checkEntry(input);
        assert.ok(!result.ok);
        assert.ok(result.issues.length > 0);
      }),
    );
  });

  it('accepts objects without a prototype, as JSONata makes them', () => {
    const bare = Object.assign(Object.create(null), { user_id: '7', seg_block: [block] });
    accepted(bare);
  });

  it('accepts a safe whole number and a BigInt as user id', () => {
    assert.equal(accepted({ user_id: 4711, seg_block: [block] }).spelling, '4711');
    assert.equal(
      accepted({ user_id: 12345678900987654321n, seg_block: [block] }).spelling,
      '12345678900987654321',
    );
  });

  it('accepts more than 100 segments, which the engine spreads over several requests', () => {
    const many = Array.from({ length: 250 }, (_, index) => ({ seg_id: index + 1 }));
    assert.equal(accepted({ user_id: '7', seg_block: many }).blocks.length, 250);
  });

  it('accepts a segment twice; the last block wins when they coalesce', () => {
    const twice = [
      { seg_id: 1, expiration: 10 },
      { seg_id: 1, expiration: -1 },
    ];
    assert.deepEqual(
      accepted({ user_id: '7', seg_block: twice }).blocks.map((one) => one.expiration),
      [10, -1],
    );
  });

  it('reads the event time from a number, an ISO text with a zone, or a Date', () => {
    const time = (event_time: unknown): number | null =>
      accepted({ user_id: '7', event_time, seg_block: [block] }).eventTimeMs;
    const noon = Date.UTC(2026, 0, 31, 12);
    assert.equal(time(noon + 0.7), noon);
    assert.equal(time('2026-01-31T12:00:00Z'), noon);
    assert.equal(time('2026-01-31T13:00:00.000+01:00'), noon);
    assert.equal(time(new Date(noon)), noon);
    assert.equal(time('2026-01-31'), Date.UTC(2026, 0, 31));
    assert.equal(time(null), null);
  });

  it('accepts a custom domain only if the entry or the caller allows it', () => {
    const input = { user_id: 'abc', domain: 'my-ids', seg_block: [block] };
    assert.equal(checkEntry(input).ok, false);
    assert.equal(userHead(accepted(input, true)), '{"user_id":"abc","domain":"my-ids","seg_block":[');
    const allowed = accepted({ ...input, custom_domain: true });
    assert.ok(!allowed.body.includes('custom_domain'));
    assert.equal(checkEntry({ ...input, custom_domain: false }).ok, false);
  });

  it('accepts texts of up to 256 characters', () => {
    const input = (chars: number): unknown => ({
      user_id: '汉'.repeat(chars),
      domain: 'd'.repeat(chars),
      custom_domain: true,
      seg_block: [{ seg_code: '\u0001'.repeat(chars), member_id: 1 }],
    });
    accepted(input(256));
    const result = checkEntry(input(257));
    assert.ok(!result.ok);
    const params = { got: 257, max: 256 };
    assert.deepEqual(result.issues, [
      { code: 'text_too_long', path: 'domain', params },
      { code: 'text_too_long', path: 'user_id', params },
      { code: 'text_too_long', path: 'seg_block[0].seg_code', params },
    ]);
  });

  it('reports every issue of an entry with its path', () => {
    const result = checkEntry({
      user_id: 'x',
      domain: 'idfa',
      event_time: 'yesterday',
      seg_block: [block, { seg_code: 'a' }, { seg_id: 1, value: 1.5, expiration: 'soon' }],
    });
    assert.ok(!result.ok);
    assert.deepEqual(
      result.issues.map(({ code, path: at }) => `${at}: ${code}`),
      [
        'user_id: user_id_not_uuid',
        'event_time: event_time_invalid',
        'seg_block[1]: member_id_missing',
        'seg_block[2].value: number_range',
        'seg_block[2].expiration: expiration_range',
      ],
    );
  });

  it('accepts the owner beside an id, and sends the id alone', () => {
    const both = { seg_id: 5, member_id: 7, value: -1, expiration: 60 };
    const { blocks } = accepted({ user_id: '7', seg_block: [both] });
    assert.equal(blocks[0]!.text, '{"seg_id":5,"value":-1,"expiration":60}');
    assert.equal(blocks[0], accepted({ user_id: '7', seg_block: [{ ...both, member_id: null }] }).blocks[0]);
  });

  describe('with unknown fields allowed', () => {
    const check = (input: unknown): CheckedEntry => {
      const result = checkEntry(input, { allowUnknownFields: true });
      assert.ok(result.ok, JSON.stringify(result));
      return result.entry;
    };

    it('sends those of the entry and of each block unchanged, with exact byte counts', () => {
      const input = {
        user_id: '7',
        'a "new" field': { deep: [1, null, 'ü'] },
        seg_block: [
          { seg_id: 5, score: 'ü', flag: null, expiration: 60 },
          { seg_code: 'a', member_id: 1, x: 0.5 },
        ],
      };
      const checked = check({ ...input, event_time: 1_900_000_000_000, dropped: undefined });
      assert.deepEqual(JSON.parse(checked.body), input);
      assert.equal(checked.headBytes, Buffer.byteLength(userHead(checked)));
      for (const one of checked.blocks) assert.equal(one.headBytes, Buffer.byteLength(one.head));
      assert.equal(checked.blocks[0]!.text, '{"seg_id":5,"score":"ü","flag":null,"expiration":60}');
      assert.equal(checked.blocks[0]!.key, 'i5');
    });

    it('distinguishes entries of one user whose fields differ', () => {
      const plain = check({ user_id: '7', seg_block: [block] });
      const marked = check({ user_id: '7', mark: 1, seg_block: [block] });
      const other = check({ user_id: '7', mark: 2, seg_block: [block] });
      assert.equal(plain.userKey, marked.userKey);
      assert.equal(new Set([plain, marked, other].map(({ spelling }) => spelling)).size, 3);
    });

    it('refuses more than a thousand characters in an entry or a block', () => {
      const big = 'x'.repeat(1_000);
      for (const [input, where] of [
        [{ user_id: '7', big, seg_block: [block] }, ''],
        [{ user_id: '7', seg_block: [block, { seg_id: 5, big }] }, 'seg_block[1]'],
      ] as const) {
        const result = checkEntry(input, { allowUnknownFields: true });
        assert.ok(!result.ok);
        assert.deepEqual(
          result.issues.map(({ code, path: at }) => `${at} ${code}`),
          [`${where} unknown_too_long`],
        );
      }
    });

    it('leaves out functions and symbols, and refuses circular and bigint values', () => {
      const checked = check({ user_id: '7', call: () => 1, seg_block: [{ seg_id: 5, mark: Symbol('x') }] });
      assert.equal(checked.body, '{"user_id":"7","seg_block":[{"seg_id":5}]}');
      const circle: Record<string, unknown> = {};
      circle.circle = circle;
      for (const wrong of [circle, 1n]) {
        const result = checkEntry({ user_id: '7', wrong, seg_block: [block] }, { allowUnknownFields: true });
        assert.ok(!result.ok);
        assert.deepEqual(
          result.issues.map(({ code }) => code),
          ['unreadable'],
        );
      }
    });
  });

  it('reports only the first issues of an entry with thousands', () => {
    const result = checkEntry({ user_id: '7', seg_block: Array.from({ length: maxBlocks }, () => ({})) });
    assert.ok(!result.ok);
    assert.equal(result.issues.length, maxIssues);
  });

  it('returns correct blocks for more segments than the cache holds', () => {
    for (let segment = 1; segment <= 5000; segment++) {
      const [made] = accepted({ user_id: '7', seg_block: [{ seg_id: segment, value: segment }] }).blocks;
      assert.equal(made!.head, `{"seg_id":${segment},"value":${segment}`);
    }
  });

  it('shares the block of a segment between entries', () => {
    const one = accepted({ user_id: '7', seg_block: [{ seg_id: 5, value: 2, expiration: 60 }] });
    const two = accepted({ user_id: '8', seg_block: [{ seg_id: 5, value: 2, expiration: 60 }] });
    assert.equal(one.blocks[0], two.blocks[0]);
  });
});
