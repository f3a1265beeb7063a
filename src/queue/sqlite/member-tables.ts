// Tables of the synced segments in a queue file: members, and the state of each sync (sync.md, "Tables").

import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { endOf, memberCodes, rejectedEnd } from '../sync-sql';
import type { MemberChange, SyncedSegment, SyncState } from '../sync-store';
import type { RowCipher } from './row-cipher';

interface MemberEnd {
  readonly state: number;
  readonly since: number;
  readonly expiration: number | null;
}

export class MemberTables {
  /** Ids of the kept segments. */
  readonly #ids = new Map<string, number>();
  readonly #statements: ReturnType<typeof prepareAll>;

  constructor(
    db: DatabaseSync,
    private readonly cipher: RowCipher,
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

  segmentsOf(memberKeys: readonly string[]): { segment: string; memberKey: string }[] {
    const found: { segment: string; memberKey: string }[] = [];
    for (const memberKey of memberKeys) {
      const names = this.cipher.memberNamesOf(memberKey);
      for (const [segment, id] of this.#ids)
        if (names.some((name) => this.#statements.find.get(id, name) !== undefined))
          found.push({ segment, memberKey });
    }
    return found;
  }

  // ── In the transaction of the caller ────────────────────────────────────────────────────────────────────────────

  apply(changes: readonly MemberChange[]): void {
    const counts = new Counts(this.#statements.count);
    for (const change of changes) {
      const id = this.#ids.get(change.segment);
      if (id !== undefined) this.#put(id, change, counts);
    }
    counts.write();
  }

  setStates(states: readonly SyncState[]): void {
    for (const { segment, text } of states)
      this.#statements.setState.run(this.cipher.noteOf(text), segment);
  }

  #put(id: number, change: MemberChange, counts: Counts): void {
    for (const name of this.cipher.memberNamesOf(change.memberKey)) {
      const before = this.#statements.remove.get(id, name) as MemberEnd | undefined;
      if (before !== undefined) counts.add(id, endOf(before), -1);
    }
    if (change.state === 'gone') return;
    const { value, expiration, sinceMinutes: since } = change;
    const state = memberCodes[change.state];
    const { key, encrypted } = this.cipher.memberNameOf(change.memberKey);
    this.#statements.insert.run(id, key, state, since, value, expiration, encrypted);
    counts.add(id, endOf({ state, since, expiration }), 1);
  }
}

/** Changes of the number of members by segment and end. */
class Counts {
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
  return {
    kept: db.prepare('SELECT id, segment FROM synced WHERE segment IS NOT NULL'),
    keep: db.prepare('INSERT INTO synced (segment) VALUES (?)'),
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
  };
}

