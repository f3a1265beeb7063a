// The queue's file with bits flipped, cut short, overwritten or of a newer version: whole, or refused and left as it is.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';

import { QueueError, type NewRow, type Row } from '../../src/queue/store';
import type { EncryptionOptions } from '../../src/queue/sqlite/encryption';
import { openLog, type SqliteLog } from '../../src/queue/sqlite/sqlite-log';
import { newRow, temporaryFolder } from '../queue/rows';
import { fuzz, timeoutMs } from './cases';

interface Files {
  readonly main: Buffer;
  readonly wal: Buffer | null;
}

type Damage =
  | { readonly kind: 'flip'; readonly at: readonly (readonly [part: number, bit: number])[] }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'zeros' | 'noise'; readonly at: number; readonly bytes: number }
  | { readonly kind: 'page'; readonly from: number; readonly to: number }
  | { readonly kind: 'version'; readonly version: number }
  | { readonly kind: 'longer'; readonly bytes: Uint8Array };

/** A place in a file, from 0 to 1; more often in the first page, which says what all others are. */
const place = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  fc.double({ min: 0, max: 0.02, noNaN: true }),
);

const damage: fc.Arbitrary<Damage> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .array(fc.tuple(place, fc.nat(7)), { minLength: 1, maxLength: 4 })
      .map((at) => ({ kind: 'flip', at }) as const),
  },
  { weight: 2, arbitrary: place.map((at) => ({ kind: 'cut', at }) as const) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('zeros', 'noise'),
      at: place,
      bytes: fc.constantFrom(1, 16, 512, 4096, 8192),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('page'), from: place, to: place }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('version'),
      version: fc.integer({ min: -2, max: 2 ** 31 - 1 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({ minLength: 1, maxLength: 300 })
      .map((bytes) => ({ kind: 'longer', bytes }) as const),
  },
);

const pageBytes = 8192;
const versionAt = 60;

function damaged(bytes: Buffer, how: Damage): Buffer {
  const copy = Buffer.from(bytes);
  const at = (part: number): number => Math.min(Math.floor(part * copy.length), copy.length - 1);
  switch (how.kind) {
    case 'flip':
      for (const [part, bit] of how.at) copy[at(part)]! ^= 1 << bit;
      return copy;
    case 'cut':
      return copy.subarray(0, at(how.at));
    case 'zeros':
      return copy.fill(0, at(how.at), Math.min(at(how.at) + how.bytes, copy.length));
    case 'noise':
      for (let index = at(how.at); index < Math.min(at(how.at) + how.bytes, copy.length); index++)
        copy[index] = (index * 167 + 13) & 0xff;
      return copy;
    case 'page': {
      const pages = Math.ceil(copy.length / pageBytes);
      const from = Math.floor(how.from * pages) * pageBytes;
      copy.copy(copy, Math.floor(how.to * pages) * pageBytes, from, from + pageBytes);
      return copy;
    }
    case 'version':
      copy.writeInt32BE(how.version, versionAt);
      return copy;
    case 'longer':
      return Buffer.concat([copy, how.bytes]);
  }
}

const source = (n: number) => ({ node: `out ${n}`, account: 'account' });

function rowOf(seq: number): NewRow {
  // One of them is larger than a page.
  const code = 'c'.repeat(seq === 40 ? 20_000 : (seq * 37) % 300);
  const body = `{"user_id":"${seq}","seg_block":[{"seg_code":"${code}","member_id":7}]}`;
  return newRow(seq, {
    body,
    lane: seq % 4 === 0 ? 'removal' : 'add',
    source: source(seq % 3),
    userHash: seq % 50,
  });
}

const lastSeq = 240;

/** Many commits, so that a -wal holds several of them. Returns what was in it after each. */
function fill(log: SqliteLog): unknown[] {
  const states: unknown[] = [];
  const note = (): void => void states.push(withoutText(contentIn(log)));
  log.takeOver();
  note();
  for (let from = 1; from <= lastSeq; from += 20) {
    log.commit({ append: Array.from({ length: 20 }, (_, at) => rowOf(from + at)) });
    note();
  }
  log.commit({
    remove: [3, 4, 5, 100, 101],
    repeat: [9, 12],
    unknown: [{ post: -1, untilWallMs: 1 }],
  });
  note();
  return states;
}

interface Content {
  readonly rows: readonly Row[];
  readonly waiting: number;
  readonly lastSeq: number;
}

function contentOf(path: string, cipher: EncryptionOptions | null): Content {
  const log = openLog(path, cipher);
  try {
    return contentIn(log);
  } finally {
    log.close();
  }
}

function contentIn(log: SqliteLog): Content {
  const { waiting, lastSeq: last } = log.takeOver(true);
  const rows = (['removal', 'add'] as const).flatMap((lane) => log.read(lane, 0, Infinity, Infinity));
  rows.sort((one, other) => one.seq - other.seq);
  return { rows, waiting, lastSeq: last };
}

/** A bit that flips within an entry's text or time is noticed only where it makes no sense any more. */
function withoutText({ rows, ...rest }: Content): unknown {
  return { ...rest, rows: rows.map(({ seq, lane, state }) => ({ seq, lane, state })) };
}

describe('a queue file that was damaged', () => damagedFiles(null, ['damaged', 'newer_version']));
describe('an encrypted queue file that was damaged', () =>
  // A key that was damaged cannot be told from one under another secret.
  damagedFiles({ isOn: true, secrets: ['a secret'] }, ['damaged', 'newer_version', 'encrypted'], 0.25));

function damagedFiles(cipher: EncryptionOptions | null, codes: readonly string[], share = 1): void {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  /** As it lies there after a clean end, and after kill -9. */
  let closed: Files;
  let killed: Files;
  /** What was in it after each commit. */
  let states: unknown[];

  before(() => {
    folder = temporaryFolder();
    path = join(folder.path, 'queue.sqlite');
    const log = openLog(path, cipher);
    if (cipher !== null) log.takeOver();
    states = fill(log);
    killed = { main: readFileSync(path), wal: readFileSync(`${path}-wal`) };
    log.close();
    closed = { main: readFileSync(path), wal: null };
  });
  after(() => folder.remove());

  function lay({ main, wal }: Files): void {
    writeFileSync(path, main);
    if (wal === null) rmSync(`${path}-wal`, { force: true });
    else writeFileSync(`${path}-wal`, wal);
  }

  function isLeftAlone({ main, wal }: Files): boolean {
    return readFileSync(path).equals(main) && (wal === null || readFileSync(`${path}-wal`).equals(wal));
  }

  /** Of the commits in it how many are gone; or refused. Anything else fails. */
  function openedOrRefused(files: Files): number | 'refused' {
    lay(files);
    let content: unknown;
    try {
      content = withoutText(contentOf(path, cipher));
    } catch (error) {
      assert.ok(error instanceof QueueError, String((error as Error).stack));
      assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
      assert.ok(error.message.includes(path) && error.message.endsWith('.'), error.message);
      assert.ok(isLeftAlone(files), `the refused file was changed (${error.message})`);
      return 'refused';
    }
    const at = states.findLastIndex((state) => isDeepStrictEqual(state, content));
    if (at < 0) assert.deepEqual(content, states.at(-1));
    return states.length - 1 - at;
  }

  it('is whole when nothing was done to it', () => {
    assert.equal(openedOrRefused(closed), 0);
    assert.equal(openedOrRefused(killed), 0);
  });

  it('opens with every entry, or is refused with a sentence and left as it is', function () {
    this.timeout(timeoutMs);
    const seen = { whole: 0, refused: 0 };
    fuzz(damage, 1_200 * share, (how) => {
      const opened = openedOrRefused({ main: damaged(closed.main, how), wal: null });
      assert.ok(opened === 0 || opened === 'refused', `${opened} commits are gone`);
      seen[opened === 0 ? 'whole' : 'refused'] += 1;
    });
    assert.ok(seen.whole > 0 && seen.refused > 0, JSON.stringify(seen));
  });

  it('opens with its first whole commits when its -wal is damaged, as SQLite recovers it, or is refused', function () {
    this.timeout(timeoutMs);
    const seen = { whole: 0, first: 0, refused: 0 };
    fuzz(damage, 800 * share, (how) => {
      const opened = openedOrRefused({ main: killed.main, wal: damaged(killed.wal!, how) });
      seen[opened === 'refused' ? opened : opened === 0 ? 'whole' : 'first'] += 1;
    });
    assert.ok(seen.first > 0 && seen.whole > 0, JSON.stringify(seen));
  });
}
