// Orphaned queue file: a queue that no engine uses, because its account was deleted or serves another member
// now. Counts, moves and deletes its entries.
//
// The file is locked only during a call. An engine that opens it meanwhile fails with `locked` and tries again
// seconds later. Every call throws QueueErrors.

import { existsSync } from 'node:fs';

import { isBodyOf } from '../entry/read-body';
import { hashUserKey } from '../entry/keys';
import { lanes, type QueueError, type QueueStore, type RecoveredRecord, type Row } from './store';
import type { EncryptionOptions } from './sqlite/encryption';
import { queueError } from './sqlite/sqlite-errors';
import { openLog, type SqliteLog } from './sqlite/sqlite-log';
import { SqliteStore } from './sqlite/sqlite-store';
import { memberKeysOf, newSuppressionKey, suppressionHashOf, suppressionKeyNote } from './suppression';

export interface OrphanedQueue {
  readonly waiting: number;
  /** Epoch ms; null when no entry is pending. */
  readonly oldestAppendedWallMs: number | null;
  /** Node ids of the accounts that appended to it. */
  readonly accounts: readonly string[];
}

export interface Moved {
  readonly moved: number;
  /** Entries of the account that stay in the queue. */
  readonly kept: number;
}

/** Rows that were handed over to another queue. */
export interface MovedRows {
  /** Numbers of those that are durable there. */
  readonly moved: readonly number[];
  /** Why it took no more of them; null when it took all that it may take. */
  readonly refused: QueueError | null;
}

/** Hands rows over, in order. */
export type TakeMoved = (rows: readonly Row[]) => Promise<MovedRows>;

type Secrets = EncryptionOptions['secrets'];

const rowsPerPage = 2_000;

export function lookAt(path: string): OrphanedQueue {
  return withLog(path, (log) => {
    const { waiting, oldestAppendedWallMs } = log.takeOver();
    return { waiting, oldestAppendedWallMs, accounts: log.accounts };
  });
}

/**
 * Passes the pending rows of an account to `take`, in order. Only those that are durable in another queue are
 * removed here; rejects when that refused further ones. These stay: all rows of a user with an in-flight record,
 * because a request may still run, and rows older than one that is to be sent again, because that one was sent first.
 */
export async function moveAway(queue: QueueStore, account: string, take: TakeMoved): Promise<Moved> {
  const { recovered } = await queue.open();
  const result = { moved: 0, kept: 0 };
  try {
    const busy = usersInFlight(recovered);
    const repeatSeqs = new Map<number, number>();
    for await (const rows of pagesOf(queue))
      for (const { seq, state, userHash } of rows) if (state === 'repeat') repeatSeqs.set(userHash, seq);
    for await (const rows of pagesOf(queue)) {
      const its = rows.filter(({ state, source }) => state === 'waiting' && source.account === account);
      const mayMove = ({ seq, userHash }: Row): boolean =>
        !busy.has(userHash) && seq > (repeatSeqs.get(userHash) ?? 0);
      const { moved, refused } = await take(its.filter(mayMove));
      if (moved.length > 0) await queue.commit({ remove: moved });
      if (refused !== null) throw refused;
      result.moved += moved.length;
      result.kept += its.length - moved.length;
    }
    return result;
  } finally {
    await queue.close();
  }
}

/** All rows of both lanes, in order. */
async function* pagesOf(queue: QueueStore): AsyncGenerator<readonly Row[]> {
  for (let after = 0; after !== Infinity;) {
    const pages: (readonly Row[])[] = [];
    for (const lane of lanes) pages.push(await queue.read(lane, after, Infinity, rowsPerPage));
    // A full page may be followed by rows of its lane that precede the last row of the other lane.
    const ends = pages.filter(({ length }) => length === rowsPerPage).map((rows) => rows.at(-1)!.seq);
    after = Math.min(Infinity, ...ends);
    const rows = pages.flat().filter(({ seq }) => seq <= after);
    yield rows.sort((a, b) => a.seq - b.seq);
  }
}

function usersInFlight(recovered: readonly RecoveredRecord[]): ReadonlySet<number> {
  const isOver = (untilWallMs: number | null): boolean => untilWallMs !== null && untilWallMs < Date.now();
  const open = recovered.filter(({ untilWallMs }) => !isOver(untilWallMs));
  return new Set(open.flatMap(({ userHashes }) => userHashes));
}

/** The store of an existing file, for `moveAway`. */
export function storeOf(path: string, secrets: Secrets): QueueStore {
  checkIsThere(path);
  return new SqliteStore(path, { cipher: { isOn: false, secrets } });
}

/** Purges the queue and frees its disk space; members of synced segments stay, since the service has them. Resolves to the number of entries that were pending. */
export async function purge(path: string): Promise<number> {
  const log = open(path);
  try {
    const { waiting } = log.takeOver();
    log.clear();
    while (log.tidy(true)) await nextTurn();
    return waiting;
  } finally {
    log.close();
  }
}

/** Erases a user, also as a member of synced segments. Resolves to the number of entries that were pending. */
export async function erase(path: string, secrets: Secrets, userKeys: readonly string[]): Promise<number> {
  const log = open(path, secrets);
  try {
    let waiting = 0;
    for (const userHash of userKeys.map(hashUserKey)) {
      for (let afterSeq = 0; afterSeq < Infinity;) {
        const range = { userHash, afterSeq, throughSeq: Infinity };
        const rows = log.rowsOfUsers([range], rowsPerPage)[0]!;
        const its = rows.filter((row) => isBodyOf(userKeys, row.body));
        if (its.length > 0) log.commit({ remove: its.map(({ seq }) => seq) });
        waiting += its.filter(({ state }) => state === 'waiting').length;
        afterSeq = rows.length < rowsPerPage ? Infinity : rows.at(-1)!.seq;
        await nextTurn();
      }
    }
    eraseMember(log, userKeys);
    return waiting;
  } finally {
    log.close();
  }
}

/**
 * No removal can be sent without an engine. So the user's rows go at once, and the suppression keeps a later run from
 * adding the user again. Rows of an open run may hold the user too: they go all.
 */
function eraseMember(log: SqliteLog, userKeys: readonly string[]): void {
  for (const { segment } of log.sync({ of: 'segments', args: [0] }))
    log.sync({ of: 'dropStaging', args: [segment] });
  const found = log.sync({ of: 'segmentsOf', args: [userKeys.flatMap(memberKeysOf)] });
  if (found.length === 0) return;
  const terms = { value: null, expiration: null, sinceMinutes: 0 };
  log.commit({ members: found.map((member) => ({ ...member, ...terms, state: 'gone' })) });
  const key = log.getMeta(suppressionKeyNote) ?? newSuppressionKey();
  log.setMeta(suppressionKeyNote, key);
  const hashes = userKeys.map((userKey) => suppressionHashOf(key, userKey));
  log.sync({ of: 'suppress', args: [hashes, [], Date.now()] });
}

function withLog<T>(path: string, call: (log: SqliteLog) => T): T {
  const log = open(path);
  try {
    return call(log);
  } finally {
    log.close();
  }
}

/** Never creates a file. */
function open(path: string, secrets: Secrets | null = null): SqliteLog {
  checkIsThere(path);
  return openLog(path, secrets === null ? null : { isOn: false, secrets });
}

function checkIsThere(path: string): void {
  if (!existsSync(path)) throw queueError('failed', path, 'it is not there any more');
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
