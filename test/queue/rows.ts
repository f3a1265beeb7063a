// Rows and folders for the tests of the queue.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { NewRow, QueueStore, QueueError, Row } from '../../src/queue/store';
import type { Batch, SharedRow } from '../../src/queue/shared-log';

export function newRow(seq: number, more: Partial<NewRow> = {}): NewRow {
  return {
    seq,
    lane: 'add',
    userHash: seq * 1000,
    source: { node: 'out', account: 'account' },
    eventWallMs: 1_700_000_000_000 + seq,
    eventMonoMs: seq + 0.25,
    appendedWallMs: 1_700_000_000_500 + seq,
    body: `{"user_id":"${seq}"}`,
    ...more,
  };
}

export function newRows(first: number, last: number, more: Partial<NewRow> = {}): NewRow[] {
  return seqs(first, last).map((seq) => newRow(seq, more));
}

export function sharedRow(user: number, more: Partial<SharedRow> = {}): SharedRow {
  return {
    lane: 'add',
    userHash: user,
    source: { node: 'out', account: 'account' },
    eventWallMs: 1_700_000_000_000 + user,
    appendedWallMs: 1_700_000_000_500 + user,
    body: `{"user_id":"${user}"}`,
    ...more,
  };
}

export function batchOf(
  producerId: string,
  batchSequence: number,
  rows: readonly SharedRow[],
  more: Partial<Batch> = {},
): Batch {
  return {
    producerId,
    batchSequence,
    instance: producerId,
    rows,
    maxEntries: 1_000_000,
    maxChars: 1e9,
    ...more,
  };
}

export function seqs(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

export async function readAll(store: QueueStore): Promise<Row[]> {
  const pages = [
    await store.read('add', 0, Infinity, Infinity),
    await store.read('removal', 0, Infinity, Infinity),
    await store.read('bulk', 0, Infinity, Infinity),
  ];
  return pages.flat().sort((a, b) => a.seq - b.seq);
}

/** The code of the QueueError that the call throws or rejects with; 'none' without an error. */
export async function codeOf(call: () => unknown): Promise<QueueError['code'] | 'none'> {
  return (await errorOf(call))?.code ?? 'none';
}

export async function errorOf(call: () => unknown): Promise<QueueError | null> {
  try {
    await call();
    return null;
  } catch (error) {
    return error as QueueError;
  }
}

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'outbox-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
