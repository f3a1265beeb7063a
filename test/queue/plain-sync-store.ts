// Plain sync store: the contract of SyncStore in plain JavaScript, the reference for the other stores.
import { QueueError } from '../../src/queue/store';
import type {
  AudienceChange,
  ChangeKind,
  ComparedPage,
  ComparisonRules,
  MemberChange,
  StagedRow,
  SyncedSegment,
  SyncState,
  SyncStore,
} from '../../src/queue/sync-store';
import { suppressionHashOfMember } from '../../src/queue/suppression';

export interface PlainMember extends MemberChange {
  readonly erased?: boolean;
  /** Still a member, but with the terms that the service rejected last. */
  readonly changeRejected?: boolean;
}

interface Segment {
  state: string | null;
  readonly members: Map<string, PlainMember>;
  readonly rows: Map<string, StagedRow>;
  staged: 'none' | 'gathering' | 'prepared';
}

type Found = ChangeKind | 'unchanged' | 'rejectedBefore';

/* oxlint-disable typescript/require-await -- the contract is asynchronous, the model is not */
export class PlainSyncStore implements SyncStore {
  readonly #segments = new Map<string, Segment>();
  readonly #suppressed = new Map<string, number>();

  /** `orderOf`: the order of the members in the store, which is another one when they are encrypted. */
  constructor(
    private readonly nowMinutes: () => number,
    private readonly suppressionKey: () => string | null,
    private readonly orderOf: (memberKey: string) => string = (memberKey) => memberKey,
  ) {}

  /** The parts of a commit about synced segments. */
  commit(members: readonly MemberChange[], states: readonly SyncState[]): void {
    for (const change of members) {
      const segment = this.#segments.get(change.segment);
      if (change.state === 'gone') segment?.members.delete(change.memberKey);
      else {
        const before = segment?.members.get(change.memberKey);
        const erased = change.state === 'erased' || before?.erased === true;
        const changeRejected =
          change.state === 'rejected' && before !== undefined && isMember(before, change.sinceMinutes);
        segment?.members.set(change.memberKey, {
          ...change,
          ...(changeRejected && { changeRejected, state: 'live', sinceMinutes: Infinity }),
          ...(erased && { erased, state: 'member', sinceMinutes: change.sinceMinutes }),
        });
      }
    }
    for (const { segment, text } of states) {
      const its = this.#segments.get(segment);
      if (its !== undefined) its.state = text;
    }
  }

  /** For tests: what is known of a segment. */
  membersOf(segment: string): ReadonlyMap<string, PlainMember> {
    return this.#segments.get(segment)?.members ?? new Map();
  }

  async segments(): Promise<readonly SyncedSegment[]> {
    const now = this.nowMinutes();
    return [...this.#segments]
      .map(([segment, { state, members }]) => {
        const all = [...members.values()];
        const rejected = all.filter((member) => member.state === 'rejected').length;
        return { segment, state, rejected, members: all.filter((member) => isMember(member, now)).length };
      })
      .sort((a, b) => (a.segment < b.segment ? -1 : 1));
  }

  async keep(segment: string): Promise<void> {
    if (this.#segments.has(segment)) return;
    this.#segments.set(segment, { state: null, members: new Map(), rows: new Map(), staged: 'none' });
  }

  async forget(segment: string): Promise<void> {
    this.#segments.delete(segment);
  }

  async setState({ segment, text }: SyncState): Promise<void> {
    this.commit([], [{ segment, text }]);
  }

  async beginStaging(segment: string): Promise<void> {
    const its = this.#its(segment);
    its.rows.clear();
    its.staged = 'gathering';
  }

  async stage(segment: string, rows: readonly StagedRow[]): Promise<void> {
    if (rows.length === 0) return;
    const its = this.#its(segment);
    if (its.staged !== 'gathering') throw new QueueError('failed', 'no run gathers');
    for (const row of rows) its.rows.set(row.memberKey, row);
  }

  async endStaging(segment: string): Promise<number> {
    const its = this.#its(segment);
    if (its.staged === 'none') throw new QueueError('failed', 'no run gathers');
    its.staged = 'prepared';
    return its.rows.size;
  }

  async dropStaging(segment: string): Promise<void> {
    const its = this.#segments.get(segment);
    its?.rows.clear();
    if (its !== undefined) its.staged = 'none';
  }

  async staged(segment: string): Promise<'none' | 'gathering' | 'prepared'> {
    return this.#segments.get(segment)?.staged ?? 'none';
  }

  async compare(
    segment: string,
    rules: ComparisonRules,
    afterKey: string | null,
    mostRows: number,
    counting: boolean,
  ): Promise<ComparedPage> {
    const its = this.#its(segment);
    if (its.staged !== 'prepared') throw new QueueError('failed', 'no rows are prepared');
    const [staged, known] = [this.#after(its.rows, afterKey), this.#after(its.members, afterKey)];
    const ends = [staged[mostRows - 1], known[mostRows - 1]].filter((key) => key !== undefined);
    const through = this.#sorted(ends)[0] ?? null;
    const counts = noCounts();
    const changes: AudienceChange[] = [];
    for (const memberKey of this.#sorted([...new Set([...staged, ...known])])) {
      if (through !== null && this.orderOf(memberKey) > this.orderOf(through)) continue;
      const [row, member] = [its.rows.get(memberKey), its.members.get(memberKey)];
      const kind = kindOf(row, member, rules);
      if (kind === null) continue;
      const isOffered = kind !== 'unchanged' && kind !== 'rejectedBefore' && kind !== 'remove';
      if (isOffered && this.#isSuppressed(memberKey)) {
        counts.suppressed += 1;
        continue;
      }
      counts[kind] += 1;
      if (counting || kind === 'unchanged' || kind === 'rejectedBefore') continue;
      const { value, expiration } = (row ?? member)!;
      changes.push({ kind, memberKey, value, expiration });
    }
    return { through, counts, changes };
  }

  async due(
    segment: string,
    rules: Pick<ComparisonRules, 'nowMinutes' | 'refreshPercent'>,
    afterKey: string | null,
    mostRows: number,
  ): Promise<ComparedPage> {
    const counts = noCounts();
    const its = this.#segments.get(segment);
    if (its === undefined) return { through: null, counts, changes: [] };
    const known = this.#after(its.members, afterKey);
    const changes: AudienceChange[] = [];
    for (const memberKey of known.slice(0, mostRows)) {
      const member = its.members.get(memberKey)!;
      if (
        member.erased !== true &&
        member.state === 'member' &&
        isMember(member, rules.nowMinutes) &&
        isDue(member, rules)
      ) {
        counts.refresh += 1;
        changes.push({ kind: 'refresh', memberKey, value: member.value, expiration: member.expiration });
      } else if (member.state !== 'rejected' && !isMember(member, rules.nowMinutes))
        its.members.delete(memberKey);
      else counts.unchanged += 1;
    }
    return { through: known[mostRows - 1] ?? null, counts, changes };
  }

  async segmentsOf(
    memberKeys: readonly string[],
  ): Promise<readonly { segment: string; memberKey: string }[]> {
    return memberKeys.flatMap((memberKey) =>
      [...this.#segments]
        .filter(([, { members }]) => members.has(memberKey))
        .map(([segment]) => ({ segment, memberKey })),
    );
  }

  async suppress(hashes: readonly string[], memberKeys: readonly string[]): Promise<void> {
    for (const { members } of this.#segments.values())
      for (const memberKey of memberKeys) {
        const member = members.get(memberKey);
        if (member !== undefined && member.state !== 'rejected')
          members.set(memberKey, { ...member, erased: true, state: 'member' });
      }
    for (const hash of hashes) if (!this.#suppressed.has(hash)) this.#suppressed.set(hash, Date.now());
  }

  async suppressions(): Promise<readonly { hash: string; sinceWallMs: number }[]> {
    return [...this.#suppressed].map(([hash, sinceWallMs]) => ({ hash, sinceWallMs }));
  }

  async liftSuppressions(hashes: readonly string[]): Promise<void> {
    for (const hash of hashes) this.#suppressed.delete(hash);
  }

  #its(segment: string): Segment {
    const its = this.#segments.get(segment);
    if (its === undefined) throw new QueueError('failed', 'its members are not kept');
    return its;
  }

  #isSuppressed(memberKey: string): boolean {
    const key = this.suppressionKey();
    return key !== null && this.#suppressed.has(suppressionHashOfMember(key, memberKey));
  }

  #after(from: ReadonlyMap<string, unknown>, afterKey: string | null): string[] {
    const keys = this.#sorted([...from.keys()]);
    return afterKey === null ? keys : keys.filter((key) => this.orderOf(key) > this.orderOf(afterKey));
  }

  #sorted(keys: readonly string[]): string[] {
    return [...keys].sort((a, b) => (this.orderOf(a) < this.orderOf(b) ? -1 : 1));
  }
}

function noCounts(): Record<Found | 'suppressed', number> {
  return { add: 0, remove: 0, change: 0, refresh: 0, unchanged: 0, rejectedBefore: 0, suppressed: 0 };
}

function isMember({ state, expiration, sinceMinutes }: MemberChange, nowMinutes: number): boolean {
  if (state === 'rejected') return false;
  return expiration === null || expiration === 0 || sinceMinutes + expiration > nowMinutes;
}

function isDue(
  { expiration, sinceMinutes }: MemberChange,
  { nowMinutes, refreshPercent }: Pick<ComparisonRules, 'nowMinutes' | 'refreshPercent'>,
): boolean {
  const lasts = expiration === null || expiration === 0 ? 180 * 1440 : expiration;
  return refreshPercent > 0 && sinceMinutes + lasts - nowMinutes <= (lasts * refreshPercent) / 100;
}

/** Null: nothing is known and nothing changes. */
function kindOf(
  row: StagedRow | undefined,
  member: PlainMember | undefined,
  rules: ComparisonRules,
): Found | null {
  if (member?.erased === true && (row !== undefined || isMember(member, rules.nowMinutes))) return 'remove';
  const isKnown = member !== undefined && isMember(member, rules.nowMinutes);
  if (row === undefined) return isKnown ? (rules.removes ? 'remove' : 'unchanged') : null;
  if (member?.changeRejected === true || member?.state === 'rejected') {
    const isTheSame = member.value === row.value && member.expiration === row.expiration;
    if (isTheSame && !rules.resends) return 'rejectedBefore';
    return member.changeRejected === true ? 'change' : 'add';
  }
  if (!isKnown) return 'add';
  if (member.value !== row.value) return 'change';
  return rules.resends || member.state === 'live' || isDue(member, rules) ? 'refresh' : 'unchanged';
}
