// Writes commits into a log, in the transaction of its caller, and counts its totals.

import { runsOf } from '../commit-parts';
import { laneCodes } from '../row-codes';
import type { Commit, Lane, NewRow } from '../store';
import { columnsPerRow, rowsPerInsert, type LogStatements } from './log-statements';
import type { MemberTables } from './member-tables';
import type { RowCipher } from './row-cipher';
import type { Sources } from './sources';

/** Work that may be interrupted. */
export type Steps<T> = Generator<undefined, T>;

export interface Totals {
  lastSeq: number;
  waiting: number;
  bodyChars: number;
  /** Highest number of each lane that was ever appended without being cold. */
  warmSeq: Record<Lane, number>;
  /**
   * Number of commits ever that changed something. After a crash of the thread it tells whether the last commit
   * was made.
   */
  commits: number;
}

export class CommitWriter {
  constructor(
    private readonly statements: LogStatements,
    private readonly sources: Sources,
    private readonly cipher: RowCipher,
    private readonly members: MemberTables,
  ) {}

  *apply(commit: Commit, totals: Totals, rowsPerStep: number): Steps<void> {
    const { append = [] } = commit;
    for (let from = 0; from < append.length; from += rowsPerStep) {
      if (from > 0) yield;
      this.#append(append.length > rowsPerStep ? append.slice(from, from + rowsPerStep) : append, totals);
    }
    if (commit.repeat !== undefined) this.#repeat(commit.repeat, totals);
    if (commit.remove !== undefined) this.#remove(commit.remove, totals);
    for (const mark of commit.begin ?? [])
      this.statements.beginRecord.run(mark.post, this.cipher.usersOf(mark));
    for (const { post, untilWallMs } of commit.unknown ?? [])
      this.statements.setRecordUnknown.run(untilWallMs, post);
    for (const post of commit.settle ?? []) this.statements.settleRecord.run(post);
    if (commit.members !== undefined) this.members.apply(commit.members);
    if (commit.syncStates !== undefined) this.members.setStates(commit.syncStates);
    this.setTotals(totals);
  }

  setTotals({ lastSeq, waiting, bodyChars, warmSeq, commits }: Totals): void {
    const { add, removal, bulk } = warmSeq;
    this.statements.setTotals.run(lastSeq, waiting, bodyChars, add, removal, bulk, commits);
  }

  #append(rows: readonly NewRow[], totals: Totals): void {
    const whole = rows.length - (rows.length % rowsPerInsert);
    const values = new Array<number | string>(rowsPerInsert * columnsPerRow);
    for (let from = 0; from < whole; from += rowsPerInsert) {
      for (let at = 0; at < rowsPerInsert; at++) this.#fill(values, at * columnsPerRow, rows[from + at]!);
      this.statements.insertMany.run(...values);
    }
    values.length = columnsPerRow;
    for (let at = whole; at < rows.length; at++) {
      this.#fill(values, 0, rows[at]!);
      this.statements.insertOne.run(...values);
    }
    for (const { body, cold, lane, seq } of rows) {
      totals.bodyChars += body.length;
      if (cold !== true) totals.warmSeq[lane] = seq;
    }
    totals.waiting += rows.length;
    totals.lastSeq = rows.at(-1)?.seq ?? totals.lastSeq;
  }

  #fill(values: (number | string)[], at: number, row: NewRow): void {
    values[at] = row.seq;
    values[at + 1] = laneCodes[row.lane];
    values[at + 2] = this.cipher.nameOf(row.userHash);
    values[at + 3] = this.sources.idOf(row.source);
    values[at + 4] = row.body.length;
    values[at + 5] = row.eventWallMs;
    values[at + 6] = row.eventMonoMs;
    values[at + 7] = row.appendedWallMs;
    values[at + 8] = row.cold === true ? 1 : 0;
    values[at + 9] = this.cipher.bodyOf(row);
  }

  #repeat(seqs: readonly number[], totals: Totals): void {
    for (const [first, last] of runsOf(seqs))
      totals.waiting -= Number(this.statements.repeatRun.run(first, last).changes);
  }

  #remove(seqs: readonly number[], totals: Totals): void {
    for (const [first, last] of runsOf(seqs)) {
      const sum = this.statements.sumRun.get(first, last) as { waiting: number; chars: number };
      totals.waiting -= sum.waiting;
      totals.bodyChars -= sum.chars;
      this.statements.removeRun.run(first, last);
    }
  }
}
