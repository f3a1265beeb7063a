// Checks of a commit that every store makes first, so that all stores refuse the same commits.

import { QueueError, type Commit } from './store';

/** Whether the commit would change nothing. */
export function isEmpty(commit: Commit): boolean {
  return [
    commit.append,
    commit.remove,
    commit.repeat,
    commit.begin,
    commit.settle,
    commit.unknown,
    commit.outcomes,
    commit.members,
    commit.syncStates,
  ].every((part) => part === undefined || part.length === 0);
}

/** Sequence numbers must increase, because rows are read in their order. Throws a QueueError otherwise. */
export function checkAppend(commit: Commit, lastSeq: number): void {
  let previous = lastSeq;
  for (const row of commit.append ?? []) {
    if (!Number.isSafeInteger(row.seq) || row.seq <= previous) {
      throw new QueueError('failed', `row number ${row.seq} does not continue the log after ${previous}`);
    }
    previous = row.seq;
  }
}

/** Runs of successive numbers, both ends included, in order. */
export function runsOf(seqs: readonly number[]): [first: number, last: number][] {
  const runs: [number, number][] = [];
  let run: [number, number] | null = null;
  for (const seq of sorted(seqs)) {
    if (run !== null && seq <= run[1] + 1) run[1] = seq;
    else runs.push((run = [seq, seq]));
  }
  return runs;
}

function sorted(seqs: readonly number[]): readonly number[] {
  for (let at = 1; at < seqs.length; at++) {
    if (seqs[at]! < seqs[at - 1]!) return [...seqs].sort((a, b) => a - b);
  }
  return seqs;
}
