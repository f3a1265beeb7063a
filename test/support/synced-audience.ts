// What the service may hold of a synced segment: runs of a table, with other events meanwhile, of which nobody knows whether they
// came before the comparison or after it.

/** Null: not in the segment. */
type Value = number | null;
/** The value of each user; who is not in it is not in the segment. */
export type Table = ReadonlyMap<string, number>;

/** No event at all: that of the last message was perhaps not taken. */
const none = Symbol('none');
const shown = 5;

export class SyncedAudience {
  private settled: Table = new Map();
  /** What the events since then may have left, by user. */
  private readonly left = new Map<string, Set<Value | typeof none>>();

  event(user: string, value: Value, how: 'taken' | 'unanswered'): void {
    const before = how === 'taken' ? [] : (this.left.get(user) ?? [none]);
    this.left.set(user, new Set([...before, value]));
  }

  /** What is not as it must be, a sentence each (the first few). `table`: of the run that has ended last; null: there was none. */
  differences(state: Table, table: Table | null): string[] {
    const base = table ?? this.settled;
    const users = new Set([...state.keys(), ...base.keys(), ...this.left.keys()]);
    const wrong: string[] = [];
    for (const user of users) {
      const left = this.left.get(user) ?? new Set([none]);
      const allowed = [...left].filter((value) => value !== none);
      if (table !== null || left.has(none)) allowed.push(base.get(user) ?? null);
      const value = state.get(user) ?? null;
      if (!allowed.includes(value))
        wrong.push(`user ${user} has ${value}, expected ${allowed.map(String).join(' or ')}`);
    }
    const more = wrong.length - shown;
    return more > 0 ? [...wrong.slice(0, shown), `and ${more} more`] : wrong;
  }

  /** What nobody knew is known now. */
  settle(state: Table): void {
    this.settled = state;
    this.left.clear();
  }
}
