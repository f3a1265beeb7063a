// Sync store: the contract of the tables beside a queue that keep segments equal to a table (docs/internals/sync.md).
//
// - Members: users of synced segments, as the service accepted them. They change in the commit that acknowledges a
//   delivery (`Commit.members`), so they never claim what the service did not accept.
// - Staging: the rows of one run, on disk until they are compared with the members.
// - Suppressions: keyed hashes of users who were erased.
//
// Segments are named by the keys of their blocks (`i10001`, `c1661:abcd`), users by member keys (`memberKeyOf`).

/** What a row of the source, or an accepted add, says of a user. */
interface MemberTerms {
  /** Null: without a value. */
  readonly value: number | null;
  /** Minutes as given; 0 never expires, null is the member's default. */
  readonly expiration: number | null;
}

/** One change of the members, made with the commit that acknowledges it. */
export interface MemberChange extends MemberTerms {
  readonly segment: string;
  readonly memberKey: string;
  /**
   * `member`: accepted, as a run or a refresh said. `live`: accepted, as another event said. `gone`: removed, or
   * expired. `rejected`: a run offered the user, and the service rejects it. `erased`: accepted, but the user is suppressed, so
   * that every comparison removes the user, as after `suppress`. Ignored if the segment is not kept.
   */
  readonly state: 'member' | 'live' | 'gone' | 'rejected' | 'erased';
  /** Epoch minutes from which the expiration counts. */
  readonly sinceMinutes: number;
}

/** The state of the sync of one segment: a text that only src/sync reads. */
export interface SyncState {
  readonly segment: string;
  readonly text: string;
}

export interface StagedRow extends MemberTerms {
  readonly memberKey: string;
}

export interface SyncedSegment {
  readonly segment: string;
  /** Members that have not expired, as last counted: exact within a minute. */
  readonly members: number;
  readonly rejected: number;
  readonly state: string | null;
}

export type ChangeKind =
  /** Not a member, or one whose membership has run out. */
  | 'add'
  /** A member that the run does not have. */
  | 'remove'
  /** Another value. */
  | 'change'
  /** Due for a renewal, or known by another event only. */
  | 'refresh';

export interface AudienceChange extends MemberTerms {
  readonly kind: ChangeKind;
  readonly memberKey: string;
}

export interface ComparisonRules {
  /** Epoch minutes. */
  readonly nowMinutes: number;
  /** Per cent of the time left at which a membership is renewed; 0: never. */
  readonly refreshPercent: number;
  /** False: no user is removed. */
  readonly removes: boolean;
  /** Offers every row, whatever is known of it; the service's state is unknown. */
  readonly resends: boolean;
}

/** One step of a comparison, in order of the member keys. */
export interface ComparedPage {
  /** Continue after this member key; null: this was the last page. */
  readonly through: string | null;
  readonly counts: Readonly<Record<ChangeKind | 'unchanged' | 'rejectedBefore' | 'suppressed', number>>;
  /** Empty when only counts were asked for. */
  readonly changes: readonly AudienceChange[];
}

export interface SyncStore {
  /** Every kept segment. */
  segments(): Promise<readonly SyncedSegment[]>;
  /** Starts to keep the members of a segment. Does nothing if they are kept already. */
  keep(segment: string): Promise<void>;
  /** Drops everything that is known of a segment. */
  forget(segment: string): Promise<void>;
  /** Writes the state outside of a commit. */
  setState(state: SyncState): Promise<void>;
  /** Drops what is staged of the segment, and begins anew. */
  beginStaging(segment: string): Promise<void>;
  /** Adds rows. Durable when it resolves. A later row of a user replaces an earlier one. */
  stage(segment: string, rows: readonly StagedRow[]): Promise<void>;
  /** Prepares the staged rows for the comparison; other calls of the store go on meanwhile. Resolves to the users in it. */
  endStaging(segment: string): Promise<number>;
  dropStaging(segment: string): Promise<void>;
  /** Whether rows of a segment are staged, and prepared; after a restart too. */
  staged(segment: string): Promise<'none' | 'gathering' | 'prepared'>;
  /**
   * Compares the prepared rows with the members after a member key, up to `mostRows` rows of either. Holds up other calls
   * for some ms at most.
   */
  compare(
    segment: string,
    rules: ComparisonRules,
    afterKey: string | null,
    mostRows: number,
    counting: boolean,
  ): Promise<ComparedPage>;
  /** Members after a key that are due for a renewal, among the next `mostRows`; drops those that have run out. */
  due(
    segment: string,
    rules: Pick<ComparisonRules, 'nowMinutes' | 'refreshPercent'>,
    afterKey: string | null,
    mostRows: number,
  ): Promise<ComparedPage>;
  /** The synced segments that have one of these users, rejected ones included; in any order. */
  segmentsOf(memberKeys: readonly string[]): Promise<readonly { segment: string; memberKey: string }[]>;
  /**
   * Users who were erased: keyed hashes, never ids. Where one is still a member, every comparison removes the user, until that
   * is acknowledged.
   */
  suppress(hashes: readonly string[], memberKeys: readonly string[]): Promise<void>;
  suppressions(): Promise<readonly { hash: string; sinceWallMs: number }[]>;
  liftSuppressions(hashes: readonly string[]): Promise<void>;
}
