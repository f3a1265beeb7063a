// Tables of the synced segments in a queue file: members, and the state of each sync (sync.md, "Tables").

import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { noCounts } from '../compared-page';
import { endOf, memberCodes, rejectedEnd, stateAfter, syncSql } from '../sync-sql';
import type { ComparedPage, ComparisonRules, MemberChange, SyncedSegment, SyncState } from '../sync-store';
import type { RowCipher } from './row-cipher';

/** A key as it is stored: a member key, or its blind index. */
export type Key = string | Uint8Array;

/** Before and after every key: texts sort before blobs, and a blind index has 16 bytes. */
const beforeKeys = '';
export const afterKeys = new Uint8Array(17).fill(0xff);
/** Between the plain keys and the encrypted ones. */
const betweenKeys = new Uint8Array(0);

/** The members of the segment in parameter 5. */
export const membersOfSegment = '(SELECT * FROM member WHERE segment = ?5)';

interface EndRecord {
  readonly state: number;
  readonly since: number;
  readonly expiration: number | null;
}
interface MemberRecord extends EndRecord {
  readonly key: Key;
  readonly encrypted: Uint8Array | null;
  readonly value: number | null;
}

/** Rows that are rewritten or deleted at a time. */
const rowsPerStep = 1_000;

export class MemberTables {
  /** Ids of the kept segments. */
  readonly #ids = new Map<string, number>();
  readonly #statements: ReturnType<typeof prepareAll>;
  /** Some rows may be encrypted though new ones are not, or the other way round. */
  #mayBeMixed = true;
  #mayBeForgotten = true;

  constructor(
    db: DatabaseSync,
    private readonly cipher: RowCipher,
    private readonly transaction: (work: () => void) => void,
  ) {
    this.#statements = prepareAll(db);
    for (const { id, segment } of this.#statements.kept.all()) this.#ids.set(segment as string, id as number);
  }

  idOf(segment: string): number | undefined {
    return this.#ids.get(segment);
  }

  segments(nowMinutes: number): SyncedSegment[] {
    return this.#statements.segments.all(nowMinutes).map(({ segment, members, rejected, state }) => ({
      segment: segment as string,
      members: members as number,
      rejected: rejected as number,
      state: state === null ? null : this.cipher.textIn(state as string, 'the state of a sync'),
    }));
  }

  keep(segment: string): void {
    if (this.#ids.has(segment)) return;
    this.#ids.set(segment, Number(this.#statements.keep.run(segment).lastInsertRowid));
  }

  /** Its rows are deleted by `deleteForgotten`. */
  forget(segment: string): void {
    this.#statements.forget.run(segment);
    this.#ids.delete(segment);
    this.#mayBeForgotten = true;
  }

  /** Ids of forgotten segments that still have rows. */
  forgotten(): number[] {
    if (!this.#mayBeForgotten) return [];
    const ids = this.#statements.forgotten.all().map(({ id }) => id as number);
    this.#mayBeForgotten = ids.length > 0;
    return ids;
  }

  /** Deletes some of its rows, and in the end the segment. */
  deleteForgotten(id: number): void {
    const last = this.#statements.keyAt.get(id, beforeKeys, rowsPerStep - 1)?.key as Key | undefined;
    this.transaction(() => {
      this.#statements.removeThrough.run(id, last ?? afterKeys);
      if (last !== undefined) return;
      this.#statements.removeEnds.run(id);
      this.#statements.removeSegment.run(id);
    });
  }

  segmentsOf(memberKeys: readonly string[]): { segment: string; memberKey: string }[] {
    return memberKeys.flatMap((memberKey) => {
      const names = this.cipher.memberNamesOf(memberKey);
      return [...this.#ids]
        .filter(([, id]) => names.some((name) => this.#statements.find.get(id, name) !== undefined))
        .map(([segment]) => ({ segment, memberKey }));
    });
  }

  /**
   * Encrypts or decrypts some rows of before encryption was switched. Returns whether there are more; only then all
   * members are in one order.
   */
  convert(): boolean {
    if (!this.#mayBeMixed) return false;
    const { plainRows, encryptedRows, remove, insert } = this.#statements;
    const wrong = this.cipher.encrypts ? plainRows : encryptedRows;
    const rows = [...this.#ids.values()].flatMap((id) =>
      (wrong.all(id, betweenKeys, rowsPerStep) as unknown as MemberRecord[]).map((row) => ({ id, row })),
    );
    this.#mayBeMixed = rows.length > 0;
    if (rows.length === 0) return false;
    this.transaction(() => {
      for (const { id, row } of rows) {
        const { key, encrypted } = this.cipher.memberNameOf(this.cipher.memberKeyIn(row));
        remove.get(id, row.key);
        insert.run(id, key, row.state, row.since, row.value, row.expiration, encrypted);
      }
    });
    return true;
  }

  /** See `SyncStore.due`. */
  due(
    segment: string,
    rules: Pick<ComparisonRules, 'nowMinutes' | 'refreshPercent'>,
    afterKey: string | null,
    mostRows: number,
  ): ComparedPage {
    const { due, countMembers, keyAt, remove } = this.#statements;
    const counts = noCounts();
    const id = this.#ids.get(segment);
    if (id === undefined) return { through: null, counts, changes: [] };
    const after = this.startAfter(afterKey);
    const last = keyAt.get(id, after, mostRows - 1) as Pick<MemberRecord, 'key' | 'encrypted'> | undefined;
    const range = [after, last?.key ?? afterKeys] as const;
    type DueRecord = MemberRecord & { readonly is_over: number };
    const rows = due.all(...range, rules.nowMinutes, rules.refreshPercent, id) as unknown as DueRecord[];
    const over = rows.filter(({ is_over }) => is_over === 1);
    const inRange = last === undefined ? (countMembers.get(...range, id)?.rows as number) : mostRows;
    if (over.length > 0) {
      this.transaction(() => {
        const ends = new Ends(this.#statements.count);
        for (const row of over) {
          remove.get(id, row.key);
          ends.add(id, endOf(row), -1);
        }
        ends.write();
      });
    }
    const changes = rows
      .filter(({ is_over }) => is_over === 0)
      .map((row) => ({
        kind: 'refresh' as const,
        memberKey: this.cipher.memberKeyIn(row),
        value: row.value,
        expiration: row.expiration,
      }));
    counts.refresh = changes.length;
    counts.unchanged = inRange - rows.length;
    return { through: last === undefined ? null : this.cipher.memberKeyIn(last), counts, changes };
  }

  startAfter(memberKey: string | null): Key {
    if (memberKey === null) return this.cipher.encrypts ? betweenKeys : beforeKeys;
    return this.cipher.memberNameOf(memberKey).key;
  }

  // ── In the transaction of the caller ────────────────────────────────────────────────────────────────────────────

  apply(changes: readonly MemberChange[]): void {
    const ends = new Ends(this.#statements.count);
    for (const change of changes) {
      const id = this.#ids.get(change.segment);
      if (id !== undefined) this.#put(id, change, ends);
    }
    ends.write();
  }

  setStates(states: readonly SyncState[]): void {
    for (const { segment, text } of states) this.#statements.setState.run(this.cipher.noteOf(text), segment);
  }

  markErased(memberKeys: readonly string[]): void {
    for (const memberKey of memberKeys)
      for (const name of this.cipher.memberNamesOf(memberKey))
        for (const id of this.#ids.values()) this.#statements.markErased.run(id, name);
  }

  #put(id: number, change: MemberChange, ends: Ends): void {
    let known: EndRecord | null = null;
    for (const name of this.cipher.memberNamesOf(change.memberKey)) {
      const before = this.#statements.remove.get(id, name) as EndRecord | undefined;
      if (before === undefined) continue;
      ends.add(id, endOf(before), -1);
      known = before;
    }
    const { state: its, value, expiration, sinceMinutes } = change;
    if (its === 'gone') return;
    const { state, since } = stateAfter({ state: its, sinceMinutes }, known);
    const { key, encrypted } = this.cipher.memberNameOf(change.memberKey);
    this.#statements.insert.run(id, key, state, since, value, expiration, encrypted);
    ends.add(id, endOf({ state, since, expiration }), 1);
  }
}

/** Changes of the number of members by segment and end. */
class Ends {
  readonly #bySegment = new Map<number, Map<number, number>>();

  constructor(private readonly statement: StatementSync) {}

  add(id: number, end: number, by: number): void {
    const byEnd = this.#bySegment.get(id) ?? new Map<number, number>();
    this.#bySegment.set(id, byEnd.set(end, (byEnd.get(end) ?? 0) + by));
  }

  write(): void {
    for (const [id, byEnd] of this.#bySegment)
      for (const [end, by] of byEnd) if (by !== 0) this.statement.run(id, end, by);
  }
}

function prepareAll(db: DatabaseSync) {
  const counted = 'SELECT coalesce(sum(members), 0) FROM member_end WHERE segment = id AND';
  const rows = 'SELECT key, encrypted, state, since, value, expiration FROM member WHERE segment = ?';
  const sql = syncSql({
    members: membersOfSegment,
    staged: '',
    names: ['encrypted'],
    at: (place) => `?${place}`,
  });
  return {
    kept: db.prepare('SELECT id, segment FROM synced WHERE segment IS NOT NULL'),
    keep: db.prepare('INSERT INTO synced (segment) VALUES (?)'),
    forget: db.prepare('UPDATE synced SET segment = NULL, state = NULL WHERE segment = ?'),
    forgotten: db.prepare('SELECT id FROM synced WHERE segment IS NULL'),
    segments: db.prepare(`
      SELECT segment, state, (${counted} (ends = 0 OR ends > ?)) AS members, (${counted} ends = ${rejectedEnd}) AS rejected
      FROM synced WHERE segment IS NOT NULL ORDER BY segment`),
    setState: db.prepare('UPDATE synced SET state = ? WHERE segment = ?'),
    find: db.prepare('SELECT 1 AS found FROM member WHERE segment = ? AND key = ?'),
    remove: db.prepare('DELETE FROM member WHERE segment = ? AND key = ? RETURNING state, since, expiration'),
    insert: db.prepare(
      'INSERT INTO member (segment, key, state, since, value, expiration, encrypted) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    count: db.prepare(`
      INSERT INTO member_end (segment, ends, members) VALUES (?, ?, ?)
      ON CONFLICT (segment, ends) DO UPDATE SET members = members + excluded.members`),
    keyAt: db.prepare(
      'SELECT key, encrypted FROM member WHERE segment = ? AND key > ? ORDER BY key LIMIT 1 OFFSET ?',
    ),
    plainRows: db.prepare(`${rows} AND key < ? LIMIT ?`),
    encryptedRows: db.prepare(`${rows} AND key >= ? LIMIT ?`),
    markErased: db.prepare(
      `UPDATE member SET state = ${memberCodes.erased} WHERE segment = ? AND key = ? AND state <> ${memberCodes.rejected}`,
    ),
    removeThrough: db.prepare('DELETE FROM member WHERE segment = ? AND key <= ?'),
    removeEnds: db.prepare('DELETE FROM member_end WHERE segment = ?'),
    removeSegment: db.prepare('DELETE FROM synced WHERE id = ?'),
    due: db.prepare(sql.due),
    countMembers: db.prepare(
      'SELECT count(*) AS rows FROM member WHERE key > ? AND key <= ? AND segment = ?',
    ),
  };
}
