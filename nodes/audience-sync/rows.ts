// Rows of a message: as users of the segment with value and expiration, some hundred at a time, and those that cannot be used.

import { memberKeyOf, type Builder, type Entry, type Issue, type Slices } from '../../src/entry/index';
import type { ReadRows } from '../../src/sync/index';
import type { Message } from '../shared/message-copy';

const rowsAtATime = 1_000;
/** Rejected rows that are kept of one message. */
const mostRejected = 1_000;

export interface RejectedRow {
  readonly index: number;
  readonly row: unknown;
  readonly issues: readonly Issue[];
}

export class MessageRows {
  /** The first rows that cannot be used, and how many there are. */
  readonly rejected: RejectedRow[] = [];
  rejectedCount = 0;

  constructor(
    private readonly reader: { readonly builder: Builder; readonly asksConsent: boolean },
    private readonly message: Message,
    private readonly list: readonly unknown[],
    private readonly slices: Slices,
  ) {}

  /** Each part is read when it is asked for. */
  *read(): Iterable<ReadRows | Promise<ReadRows>> {
    for (let from = 0; from < this.list.length; from += rowsAtATime) {
      const items = this.list.slice(from, from + rowsAtATime);
      const built = this.reader.builder.buildItems(this.message, items, this.slices);
      yield built instanceof Promise ? built.then((its) => this.rowsOf(its, from)) : this.rowsOf(built, from);
    }
  }

  private rowsOf(built: Awaited<ReturnType<Builder['buildItems']>>, from: number): ReadRows {
    const staged: ReadRows['staged'][number][] = [];
    let invalid = 0;
    let noConsent = 0;
    for (const [index, item] of built.entries()) {
      if (item.ok) {
        const row = stagedOf(item.entry);
        if (row !== null) staged.push(row);
        else noConsent += 1;
        continue;
      }
      if (item.issues[0]?.code === 'no_consent') {
        noConsent += 1;
        continue;
      }
      invalid += 1;
      this.rejectedCount += 1;
      if (this.rejected.length < mostRejected)
        this.rejected.push({ index: from + index, row: item.item, issues: item.issues });
    }
    return { staged, rows: built.length, invalid, noConsent: this.reader.asksConsent ? noConsent : null };
  }
}

/** Null for a row that removes the user, since there is no consent or by its expiration: who is not in the audience. */
function stagedOf({ user_id: id, domain, seg_block: [block] }: Entry): ReadRows['staged'][number] | null {
  const { value, expiration } = block!;
  if (expiration === -1) return null;
  return { memberKey: memberKeyOf(domain ?? null, id), value: value ?? null, expiration: expiration ?? null };
}

/** Rows of a value: an array, or one row of an audience that comes in parts. Null: it holds none. */
export function rowListOf(value: unknown, isPart: boolean): readonly unknown[] | null {
  if (Array.isArray(value)) return value as unknown[];
  if (!isPart) return null;
  // The end of a file, or of a table without rows.
  return value === undefined || value === null || value === '' ? [] : [value];
}
