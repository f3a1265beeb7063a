// A queue file that no engine uses: its account is gone, or serves another member now. Looked at, saved, emptied.
//
// The file is held for the time of a call only. Meanwhile an engine that wants it is told that it is in use, and tries
// again seconds later. Every call throws OutboxErrors.

import { existsSync } from 'node:fs';

import { isBodyOf } from '../audience/serialise';
import { hashUserKey } from '../audience/keys';
import { lanes, type Row } from './outbox';
import type { SealOptions } from './seal';
import { outboxError } from './sqlite-errors';
import { openLog, type SqliteLog } from './sqlite-log';

export interface LeftQueue {
  readonly waiting: number;
  /** Epoch ms; null when nothing waits. */
  readonly oldestTakenWallMs: number | null;
}

type Secrets = SealOptions['secrets'];

const rowsPerPage = 2_000;
const rowsPerSearch = 20_000;

export function lookAt(path: string): LeftQueue {
  return withLog(path, (log) => {
    const { waiting, oldestTakenWallMs } = log.takeOver();
    return { waiting, oldestTakenWallMs };
  });
}

/** What waits, a page at a time; the next page is read when `take` has resolved. `secrets` open what is sealed. */
export async function readAll(
  path: string,
  secrets: Secrets,
  take: (rows: readonly Row[]) => Promise<void>,
): Promise<void> {
  const log = open(path, secrets);
  try {
    for (const lane of lanes) {
      for (let after = 0; ;) {
        const { rows } = log.read(lane, after, Infinity, rowsPerPage);
        await take(rows.filter(({ state }) => state === 'waiting'));
        const last = rows.at(-1);
        if (last === undefined || rows.length < rowsPerPage) break;
        after = last.seq;
      }
    }
  } finally {
    log.close();
  }
}

/** Empties it, and gives its space back. Resolves to how many entries had waited. */
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

/** Removes what the file holds of a user. Resolves to how many entries had waited. */
export async function erase(path: string, secrets: Secrets, userKeys: readonly string[]): Promise<number> {
  const log = open(path, secrets);
  try {
    const hashes = userKeys.map(hashUserKey);
    let waiting = 0;
    for (let after: number | null = 0; after !== null;) {
      const { rows, throughSeq } = log.rowsOfUsers(hashes, after, rowsPerSearch);
      const its = rows.filter((row) => isBodyOf(userKeys, row.body));
      if (its.length > 0) log.commit({ remove: its.map(({ seq }) => seq) });
      waiting += its.filter(({ state }) => state === 'waiting').length;
      after = throughSeq;
      await nextTurn();
    }
    return waiting;
  } finally {
    log.close();
  }
}

function withLog<T>(path: string, call: (log: SqliteLog) => T): T {
  const log = open(path);
  try {
    return call(log);
  } finally {
    log.close();
  }
}

/** Never makes a file. */
function open(path: string, secrets: Secrets | null = null): SqliteLog {
  if (!existsSync(path)) throw outboxError('failed', path, 'it is not there any more');
  return openLog(path, secrets === null ? null : { isOn: false, secrets });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
