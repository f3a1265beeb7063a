// Work for wide input is proportional to its entries: reads through a proxy are counted.
import assert from 'node:assert/strict';
import { boundedJson } from '../../src/entry/bounded-json';
import { compileBuilder } from '../../src/entry/mapping/build';
import type { BuilderConfig } from '../../src/entry/mapping/builder-config';
import { checkEntry, maxBlocks } from '../../src/entry/check';
import { maxEntries, readEntries } from '../../src/entry/read-input';
import { Rejections } from '../../src/delivery/respond/rejections';

/** A proxy that counts reads of properties and elements. */
function counted<T extends object>(target: T): { readonly value: T; readonly reads: () => number } {
  let reads = 0;
  const value = new Proxy(target, {
    get: (object, key, receiver) => {
      reads += 1;
      return Reflect.get(object, key, receiver) as unknown;
    },
  });
  return { value, reads: () => reads };
}

function objectOfKeys(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`key${at}`, at]));
}

const block = { seg_id: 1 };

describe('wide input', () => {
  it('with 30,000 unknown keys is read up to the last reported issue', () => {
    const entry = counted(objectOfKeys(30_000));
    const checked = checkEntry(entry.value);
    assert.ok(!checked.ok);
    assert.ok(entry.reads() < 100, `${entry.reads()} properties were read`);
  });

  it('in a block is read no further', () => {
    const wide = counted(objectOfKeys(30_000));
    assert.ok(!checkEntry({ user_id: '7', seg_block: [wide.value] }).ok);
    assert.ok(wide.reads() < 100, `${wide.reads()} properties were read`);
  });

  it('of bytes or boxed text is neither an entry nor a block, whatever its elements', () => {
    for (const list of [Buffer.alloc(1_000), new Float64Array(1_000), new String('x'.repeat(1_000))]) {
      const entry = checkEntry(list);
      assert.deepEqual(entry.ok ? [] : entry.issues.map(({ code }) => code), ['not_an_entry']);
      const blocks = checkEntry({ user_id: '7', seg_block: [list] });
      assert.deepEqual(blocks.ok ? [] : blocks.issues.map(({ code }) => code), ['block_type']);
    }
  });

  it('is checked up to the requested number of issues', () => {
    const blocks = counted(Array.from({ length: maxBlocks }, () => ({})));
    const checked = checkEntry({ user_id: '0', seg_block: blocks.value }, { mostIssues: 1 });
    assert.equal(checked.ok ? 0 : checked.issues.length, 1);
    assert.ok(blocks.reads() < 10, `${blocks.reads()} properties were read`);
  });

  it('of a thousand million holes is refused by its length', () => {
    const holes = counted(new Array<unknown>(1e9));
    for (const payload of [holes.value, { rt_segment: holes.value }]) {
      const read = readEntries(payload);
      assert.equal(read.ok ? '' : read.issue.code, 'input_too_many');
    }
    const checked = checkEntry({ user_id: '7', seg_block: holes.value });
    assert.equal(checked.ok ? '' : checked.issues[0]!.code, 'seg_block_too_long');
    assert.ok(holes.reads() < 20, `${holes.reads()} properties were read`);
    assert.ok(readEntries(new Array(maxEntries)).ok);
  });

  it('of a thousand million holes is refused by a builder, as items and as segments', async () => {
    const holes = counted(new Array<unknown>(1e9));
    const config = {
      source: 'items',
      items: 'payload',
      itemsType: 'msg',
      userId: 'user',
      userIdType: 'item',
      domain: '',
      domainType: 'str',
      action: 'add',
      segments: [
        { by: 'id', segment: 'segments', segmentType: 'item', value: '', expirationUnit: 'default' },
      ],
    };
    const compiled = compileBuilder(
      config as unknown as BuilderConfig,
      (path, type) =>
        ({ message, item }) =>
          type === 'item' ? (item as Record<string, unknown>)[path] : message[path],
      () => null,
    );
    assert.ok(compiled.ok);
    const items = await compiled.builder.build({ payload: holes.value });
    assert.equal(items.kind === 'refused' ? items.issue.code : '', 'items_too_many');
    const segments = await compiled.builder.build({ payload: [{ user: '7', segments: holes.value }] });
    assert.ok(segments.kind === 'items');
    const [built] = segments.items;
    assert.deepEqual(built!.ok ? [] : built!.issues.map(({ code }) => code), ['seg_block_too_long']);
    assert.ok(holes.reads() < 20, `${holes.reads()} properties were read`);
  });

  it('that is rejected is stored as JSON only up to the maximum length', () => {
    const rejections = new Rejections();
    const keys = counted(objectOfKeys(30_000));
    const list = counted(Array.from({ length: 300_000 }, () => 1));
    const entries = [
      keys.value,
      list.value,
      new Array<unknown>(1e9),
      Buffer.alloc(1e6),
      new String('x'.repeat(1e5)),
    ];
    rejections.addInvalid(
      0,
      'node',
      entries.map((entry) => ({ code: 'not_an_entry', message: '', entry })),
    );
    assert.deepEqual(
      rejections.last().map(({ entry }) => entry),
      ['object', 'array[300000]', 'array[1000000000]', 'Buffer[1000000]', 'string'],
    );
    assert.ok(keys.reads() < 5_000, `${keys.reads()} properties were read`);
    assert.ok(list.reads() < 10, `${list.reads()} elements were read`);
  });

  it('of 300,000 rejected entries is counted in full, and its last thousand entries are stored', () => {
    const rejections = new Rejections();
    let reads = 0;
    const entry = {
      get user_id(): string {
        reads += 1;
        return '0';
      },
    };
    rejections.addInvalid(
      0,
      'node',
      Array.from({ length: 300_000 }, () => ({ code: 'user_id_zero', message: '', entry })),
    );
    assert.deepEqual([rejections.size, rejections.byCode().user_id_zero], [1_000, 300_000]);
    assert.ok(reads <= 1_000, `${reads} entries were read`);
  });

  it('of valid entries is read in proportion to them', () => {
    const readsOf = (count: number): number => {
      const entries = Array.from({ length: count }, (_, at) =>
        counted({ user_id: `${at + 1}`, seg_block: [block] }),
      );
      for (const { value } of entries) assert.ok(checkEntry(value).ok);
      return entries.reduce((sum, { reads }) => sum + reads(), 0);
    };
    assert.equal(readsOf(4_000), 4 * readsOf(1_000));
  });
});

describe('bounded JSON', () => {
  it('of plain data equals JSON.stringify', () => {
    const data = { a: [1, 'x', null, true, { b: 1.5 }, undefined], d: new Date(0), u: undefined, n: null };
    assert.equal(boundedJson(data, 1_000), JSON.stringify(data));
    assert.equal(boundedJson('text', 1_000), '"text"');
  });

  it('does not call toJSON of the data', () => {
    assert.equal(boundedJson({ a: 1, toJSON: () => 'x'.repeat(1e6) }, 100), '{"a":1}');
  });

  it('writes big integers as text, unless that takes long', () => {
    assert.equal(boundedJson(12n ** 20n, 100), `"${12n ** 20n}"`);
    assert.equal(boundedJson(10n ** 2_000n, 1e6), null);
  });

  it('is null for values that are too deep, throw, or have no JSON', () => {
    let deep: unknown = 1;
    for (let level = 0; level < 50_000; level += 1) deep = [deep];
    const bad = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('failed');
      },
    });
    for (const value of [deep, bad, undefined, () => 1]) assert.equal(boundedJson(value, 1e6), null);
  });
});
