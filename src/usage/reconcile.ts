// Compares the posts sent in each hour with the service's usage statistics, and classifies the differences.
//
// The service counts a post in the hour of its processing, up to a day later (service.md 4), and does not report which
// posts it has processed. The comparison assumes that it processes in order, so each user that it counts belongs to the
// oldest hour with users still not counted. Figures are exact if every hour was processed wholly within the requested
// range or wholly outside. Of an hour processed in part, a proportional part of its blocks is estimated.

import { noCounts, sumCounts, sumOf, type UsageCounts } from '../service/usage-report';
import type { LoggedSegment } from '../service/usage';
import type { SentPair } from '../delivery/monitor/sent-counts';

/** Numbers of users and blocks sent in one hour and accepted by the service. */
export interface Sent {
  readonly users: number;
  readonly adds: number;
  readonly removes: number;
}

/** Sent in one hour by all accounts of a member. */
export interface SentOfHour extends Sent {
  /** Whole hours since the epoch. */
  readonly hour: number;
  /** Counts by block key. */
  readonly segments: ReadonlyMap<string, SentPair>;
  /** Counts by the account's node id. */
  readonly accounts: Readonly<Record<string, Sent>>;
}

/** The service's statistics of one hour. */
export interface ProcessedHour {
  readonly hour: number;
  readonly counts: UsageCounts;
  readonly inactive: readonly LoggedSegment[];
  readonly unauthorized: readonly LoggedSegment[];
  readonly invalid: readonly LoggedSegment[];
}

/** Users as the service counts them (once per request), and pairs of user and segment. */
export interface Amount {
  readonly users: number;
  readonly associations: number;
}

export interface Differences {
  /** Users unknown to the platform, and their blocks. */
  readonly unknownUsers: Amount;
  /** Blocks without effect because of their segment. */
  readonly inactiveSegments: number;
  readonly unauthorizedSegments: number;
  readonly unknownSegments: number;
  /**
   * Counted by the service but not sent from here: by other systems of the member, or in requests whose reply was lost.
   */
  readonly surplus: Amount;
  /** Blocks sent but not counted, although no user was unknown. */
  readonly unexplained: number;
}

/**
 * - `accepted`: the service has accepted the posts, and has not counted all of them yet.
 * - `processed`: the service has counted all of them.
 * - `unconfirmed`: the service has not counted all of them within a day.
 */
type HourState = 'accepted' | 'processed' | 'unconfirmed';

export interface ReconciledHour {
  readonly hour: number;
  readonly sent: Sent;
  /** `sent` by the account's node id. */
  readonly accounts: Readonly<Record<string, Sent>>;
  /** State of the posts sent in this hour. */
  readonly state: HourState;
  readonly notProcessed: Amount;
  /** Counted by the service in this hour, for posts of this hour or earlier ones. */
  readonly processed: Sent;
  readonly differences: Differences;
}

export interface Reconciliation {
  readonly sent: Sent;
  readonly processed: Sent;
  /** Sent in the range or before, and counted by the service in the range. */
  readonly accountedFor: Amount;
  readonly differences: Differences;
  /** Sent before the end of the range, and not counted by then. */
  readonly notProcessed: Amount;
  /** The part of `notProcessed` that was sent more than a day ago. */
  readonly unconfirmed: Amount;
  /** Whether no figure is an estimate. */
  readonly exact: boolean;
  readonly hours: readonly ReconciledHour[];
}

export interface ReconcileInput {
  /** In order. Should begin before the range, to include posts not yet processed at its start. */
  readonly sent: readonly SentOfHour[];
  readonly processed: readonly ProcessedHour[];
  readonly firstHour: number;
  readonly lastHour: number;
  /** The current hour. */
  readonly nowHour: number;
}

/** The longest documented processing time (service.md 4). */
const processedWithinHours = 24;

export function reconcile(flow: Flow): Reconciliation {
  const { firstHour, lastHour } = flow.input;
  const hours = hoursFrom(firstHour, lastHour).map((hour) => flow.hour(hour));
  const pending = flow.pending();
  return {
    sent: sumSent(hours.map(({ sent }) => sent)),
    processed: sumSent(hours.map(({ processed }) => processed)),
    accountedFor: flow.accountedFor(),
    differences: flow.differences(),
    notProcessed: sumAmounts(pending),
    unconfirmed: sumAmounts(pending.filter(({ isOld }) => isOld)),
    exact: flow.isExact(),
    hours,
  };
}

function hoursFrom(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at);
}

/** An hour with users that are sent and not counted, and their amount. */
export interface PendingHour extends Amount {
  readonly hour: number;
  /** Sent more than a day ago. */
  readonly isOld: boolean;
}

/** Assigns the users that the service counted in each hour to the hours in which they were sent. */
export class Flow {
  private readonly sent: ReadonlyMap<number, SentOfHour>;
  private readonly processed: ReadonlyMap<number, ProcessedHour>;
  /** Number of users by the hour of sending, then by the hour of counting. */
  private readonly counted = new Map<number, Map<number, number>>();
  /** Users counted but not sent from here, by the hour of counting. */
  private readonly surplus = new Map<number, number>();

  constructor(readonly input: ReconcileInput) {
    const { sent, processed, lastHour } = input;
    this.sent = new Map(sent.map((one) => [one.hour, one]));
    this.processed = new Map(processed.map((one) => [one.hour, one]));
    const first = Math.min(lastHour, ...this.sent.keys(), ...this.processed.keys());
    this.assignAll(first, lastHour);
  }

  private assignAll(first: number, last: number): void {
    const waiting: WaitingHour[] = [];
    let unassigned = 0;
    for (const hour of hoursFrom(first, last)) {
      const { users = 0 } = this.sent.get(hour) ?? {};
      if (users > 0) waiting.push({ hour, users });
      // The service's clock may be behind ours, so users counted in the hour before may have been sent in this one.
      this.addSurplus(hour - 1, this.assign(unassigned, hour - 1, waiting));
      unassigned = this.assign(usersOf(this.processed.get(hour)), hour, waiting);
    }
    this.addSurplus(last, unassigned);
  }

  /** Assigns users counted in `hour` to the oldest waiting hours. Returns the number of users left over. */
  private assign(users: number, hour: number, waiting: WaitingHour[]): number {
    let unassigned = users;
    while (unassigned > 0 && waiting.length > 0) {
      const oldest = waiting[0]!;
      const assigned = Math.min(unassigned, oldest.users);
      unassigned -= assigned;
      oldest.users -= assigned;
      const counted = this.counted.get(oldest.hour) ?? new Map<number, number>();
      counted.set(hour, (counted.get(hour) ?? 0) + assigned);
      this.counted.set(oldest.hour, counted);
      if (oldest.users === 0) waiting.shift();
    }
    return unassigned;
  }

  private addSurplus(hour: number, users: number): void {
    if (users > 0) this.surplus.set(hour, users);
  }

  /** The part (0 … 1) of the users sent in an hour that the service counted from hour `first` to `last`. */
  private partOf(
    { hour, users }: SentOfHour,
    first = this.input.firstHour,
    last = this.input.lastHour,
  ): number {
    let counted = 0;
    for (const [when, some] of this.counted.get(hour) ?? [])
      if (when >= first && when <= last) counted += some;
    return users === 0 ? 0 : counted / users;
  }

  /**
   * Number of blocks with these keys that the service processed in the range, estimated for hours processed in part.
   */
  sentTo(keys: readonly string[]): SentPair {
    const pair = { adds: 0, removes: 0 };
    for (const sent of this.input.sent) {
      const part = this.partOf(sent);
      for (const key of keys) {
        pair.adds += part * (sent.segments.get(key)?.adds ?? 0);
        pair.removes += part * (sent.segments.get(key)?.removes ?? 0);
      }
    }
    return { adds: Math.round(pair.adds), removes: Math.round(pair.removes) };
  }

  isExact(): boolean {
    return [...this.sent.values()].map((sent) => this.partOf(sent)).every((part) => part === 0 || part === 1);
  }

  accountedFor(first?: number, last?: number): Amount {
    return sumAmounts([...this.sent.values()].map((sent) => partly(sent, this.partOf(sent, first, last))));
  }

  /** Of the whole range, or of these hours. */
  differences(first = this.input.firstHour, last = this.input.lastHour): Differences {
    const hours = hoursFrom(first, last);
    const counts = sumCounts(hours.map((hour) => this.processed.get(hour)?.counts ?? noCounts));
    const surplusUsers = hours.reduce((sum, hour) => sum + (this.surplus.get(hour) ?? 0), 0);
    const { adds, removes, inactiveSegments, unauthorizedSegments, invalidSegments, invalidUsers } = counts;
    const seen = adds + removes + inactiveSegments + unauthorizedSegments + invalidSegments;
    const rest = this.accountedFor(first, last).associations - seen;
    const missing = Math.max(0, rest);
    return {
      unknownUsers: { users: invalidUsers, associations: invalidUsers > 0 ? missing : 0 },
      inactiveSegments,
      unauthorizedSegments,
      unknownSegments: invalidSegments,
      surplus: { users: surplusUsers, associations: Math.max(0, -rest) },
      unexplained: invalidUsers > 0 ? 0 : missing,
    };
  }

  pending(): PendingHour[] {
    return [...this.sent.values()]
      .map((sent) => ({ hour: sent.hour, isOld: this.isOld(sent.hour), ...this.notProcessedOf(sent) }))
      .filter(({ users }) => users > 0);
  }

  private isOld(hour: number): boolean {
    return this.input.nowHour - hour > processedWithinHours;
  }

  private notProcessedOf(sent: SentOfHour): Amount {
    const counted = partly(sent, this.partOf(sent, -Infinity, Infinity));
    return {
      users: sent.users - counted.users,
      associations: sent.adds + sent.removes - counted.associations,
    };
  }

  hour(hour: number): ReconciledHour {
    const sent = this.sent.get(hour);
    const { counts = noCounts } = this.processed.get(hour) ?? {};
    const notProcessed = sent === undefined ? noAmount : this.notProcessedOf(sent);
    return {
      hour,
      sent: sent === undefined ? noSent : { users: sent.users, adds: sent.adds, removes: sent.removes },
      accounts: sent?.accounts ?? {},
      state: notProcessed.users === 0 ? 'processed' : this.isOld(hour) ? 'unconfirmed' : 'accepted',
      notProcessed,
      processed: { users: counts.validUsers, adds: counts.adds, removes: counts.removes },
      differences: this.differences(hour, hour),
    };
  }
}

/** An hour with users that are sent and not counted yet. */
interface WaitingHour {
  readonly hour: number;
  users: number;
}

const noAmount: Amount = { users: 0, associations: 0 };
const noSent: Sent = { users: 0, adds: 0, removes: 0 };

function usersOf(processed: ProcessedHour | undefined): number {
  return processed === undefined ? 0 : processed.counts.validUsers + processed.counts.invalidUsers;
}

function partly({ users, adds, removes }: Sent, part: number): Amount {
  return { users: Math.round(users * part), associations: Math.round((adds + removes) * part) };
}

export function sumAmounts(amounts: readonly Amount[]): Amount {
  return sumOf(['users', 'associations'], amounts);
}

export function sumSent(all: readonly Sent[]): Sent {
  return sumOf(['users', 'adds', 'removes'], all);
}
