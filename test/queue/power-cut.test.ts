// Power cut during any write: of the writes since the last sync, any part may be on disk.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';

import { openLog, SqliteLog } from '../../src/queue/sqlite/sqlite-log';
import { openDatabase, pragma } from '../../src/queue/sqlite/sqlite-schema';
import { Dice } from '../simulation/world/dice';
import { newRows, seqs, temporaryFolder } from './rows';

type Step =
  | { readonly kind: 'append'; readonly rows: number }
  | { readonly kind: 'remove'; readonly rows: number }
  | { readonly kind: 'tidy'; readonly idle: boolean };

interface Files {
  readonly main: Buffer;
  readonly wal: Buffer;
}

const rowsOfStep = fc.integer({ min: 1, max: 60 });
const step: fc.Arbitrary<Step> = fc.oneof<fc.WeightedArbitrary<Step>[]>(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('append' as const), rows: rowsOfStep }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), rows: rowsOfStep }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tidy' as const), idle: fc.boolean() }) },
);

/** A row fills a page. Most are removed, so that there are pages to free. */
const body = JSON.stringify('x'.repeat(7_000));
const firstRows = seqs(1, 1_500);
const firstRemoved = 1_440;

const sectorBytes = 512;
const walHeaderBytes = 32;
const synchronousFull = 2;

function filesOf(path: string): Files {
  const wal = `${path}-wal`;
  return { main: readFileSync(path), wal: existsSync(wal) ? readFileSync(wal) : Buffer.alloc(0) };
}

const isSame = (one: Files, other: Files): boolean =>
  one.main.equals(other.main) && one.wal.equals(other.wal);

/**
 * Each sector as it was, as it was to become, or noise; sectors that were never written are zeros. Bytes that
 * were not written stay unchanged, as SQLite assumes of disks (https://sqlite.org/psow.html).
 */
function torn(before: Buffer, after: Buffer, dice: () => number): Buffer {
  const length = dice() < 0.5 ? before.length : after.length;
  const mixed = Buffer.alloc(Math.max(length, before.length));
  before.copy(mixed);
  const missing = dice() ** 3;
  for (let at = 0; at < Math.min(after.length, length); at += sectorBytes) {
    const end = Math.min(at + sectorBytes, after.length, length);
    if (mixed.subarray(at, end).equals(after.subarray(at, end)) || dice() < missing) continue;
    if (dice() < 0.99) after.copy(mixed, at, at, end);
    else for (let byte = at; byte < end; byte++) if (mixed[byte] !== after[byte]) mixed[byte] = 0xa5;
  }
  return mixed.subarray(0, length);
}

/**
 * The rest of the writes between two syncs. SQLite itself syncs in between: the header of the -wal file before
 * its frames, all frames before a checkpoint writes them into the file, and the file before the -wal is
 * emptied.
 */
function afterCut(synced: Files, written: Files, dice: () => number): Files {
  const isCheckpoint = !synced.main.equals(written.main);
  const isEmptied = written.wal.length === 0;
  if (isCheckpoint && (isEmptied || dice() < 0.5)) {
    const main = torn(synced.main, written.main, dice);
    return { main, wal: isEmptied ? synced.wal : written.wal };
  }
  if (isEmptied) return written;
  const header = written.wal.subarray(0, walHeaderBytes);
  const underHeader = Buffer.concat([header, synced.wal.subarray(walHeaderBytes)]);
  return { main: synced.main, wal: torn(underHeader, written.wal, dice) };
}

/** Calls `written` after each statement that wrote, with the files at the last sync and now. */
function watch(db: DatabaseSync, path: string, written: (synced: Files, now: Files) => void): void {
  const exec = db.exec.bind(db);
  let synced = filesOf(path);
  let last = synced;
  db.exec = (sql) => {
    exec(sql);
    const now = filesOf(path);
    if (isSame(last, now)) return;
    written(synced, now);
    last = now;
    if (pragma(db, 'synchronous') === synchronousFull) synced = now;
  };
}

const spanOf = (numbers: readonly number[]): string =>
  `${numbers.length} entries (${numbers[0]} to ${numbers.at(-1)})`;

describe('a queue file after a power cut', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let filled: string;

  before(() => {
    folder = temporaryFolder();
    filled = join(folder.path, 'filled.sqlite');
    const log = openLog(filled);
    log.takeOver();
    log.commit({ append: newRows(1, firstRows.length, { body }) });
    log.commit({ remove: firstRows.slice(0, firstRemoved) });
    log.close();
  });
  after(() => folder.remove());

  /** Sequence numbers of the entries; throws on damage. */
  function contentAfter(cut: Files): number[] {
    const path = join(folder.path, 'cut.sqlite');
    rmSync(`${path}-wal`, { force: true });
    writeFileSync(path, cut.main);
    if (cut.wal.length > 0) writeFileSync(`${path}-wal`, cut.wal);
    const log = openLog(path);
    try {
      const { waiting } = log.takeOver(true);
      const numbers = log.read('add', 0, Infinity, Infinity).map((row) => row.seq);
      assert.equal(waiting, numbers.length);
      return numbers;
    } finally {
      log.close();
    }
  }

  /** Carries out the steps, with a power cut in each of their writes. Returns the number of writes. */
  function cutEach(steps: readonly Step[], seed: number): number {
    const dice = new Dice(`cut ${seed}`).next;
    const path = join(folder.path, 'queue.sqlite');
    copyFileSync(filled, path);
    rmSync(`${path}-wal`, { force: true });
    const db = openDatabase(path);
    const log = new SqliteLog(db, path);
    let there = firstRows.slice(firstRemoved);
    let next = there;
    let last = firstRows.length;
    let cuts = 0;
    watch(db, path, (synced, now) => {
      cuts += 1;
      const found = contentAfter(afterCut(synced, now, dice));
      const isOneOfBoth = [there, next].some((content) => isDeepStrictEqual(found, content));
      assert.ok(isOneOfBoth, `${spanOf(found)} instead of ${spanOf(there)} or ${spanOf(next)}`);
    });
    try {
      for (const each of steps) {
        if (each.kind === 'append') {
          next = [...there, ...seqs(last + 1, last + each.rows)];
          log.commit({ append: newRows(last + 1, last + each.rows, { body }) });
          last += each.rows;
        } else if (each.kind === 'remove') {
          next = there.slice(each.rows);
          log.commit({ remove: there.slice(0, each.rows) });
        } else {
          log.tidy(each.idle);
        }
        there = next;
      }
    } finally {
      log.close();
    }
    return cuts;
  }

  it('contains every committed entry, and is never reported as damaged', function () {
    this.timeout(60_000);
    let cuts = 0;
    const runs = fc.property(fc.array(step, { minLength: 6, maxLength: 12 }), fc.nat(), (steps, seed) => {
      cuts += cutEach(steps, seed);
    });
    fc.assert(runs, { numRuns: 8, endOnFailure: true });
    assert.ok(cuts > 30, `${cuts} power cuts`);
  });
});
