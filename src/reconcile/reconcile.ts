// Compares what was sent with what the service says it has processed, and names the differences.
//
// The service counts in the hour in which it processes, which may be a day after the post, and it does not say which
// posts it speaks of. It is taken to go in order: what it counts, in users, belongs to what was sent first and is not
// accounted for yet. Where all of an hour was processed within the range that is asked about, the figures are exact;
// of an hour that was processed in parts, a part of its blocks is reckoned.

import { addCounts, noCounts, type UsageCounts } from '../service/usage-report';
import type { LoggedSegment } from '../service/usage';
import type { SentPair } from '../delivery/sent-counts';

/** What all accounts of a member sent in one hour, and the service accepted. */
export interface Sent {
  readonly users: number;
  readonly adds: number;
  readonly removes: number;
}

export interface SentOfHour extends Sent {
  /** Whole hours since the epoch. */
  readonly hour: number;
  /** By the block's key. */
  readonly segments: ReadonlyMap<string, SentPair>;
  /** By the account's node id. */
  readonly accounts: Readonly<Record<string, Sent>>;
}

/** What the service says of one hour. */
export interface ProcessedHour {
  readonly hour: number;
  readonly counts: UsageCounts;
  readonly inactive: readonly LoggedSegment[];
  readonly unauthorized: readonly LoggedSegment[];
  readonly invalid: readonly LoggedSegment[];
}

/** Users as the service counts them (once a request), and pairs of user and segment. */
export interface Amount {
  readonly users: number;
  readonly associations: number;
}

export interface Differences {
  /** Users that the platform does not know, and what was said of them. */
  readonly unknownUsers: Amount;
  /** Pairs that had no effect for their segment's sake. */
  readonly inactiveSegments: number;
  readonly unauthorizedSegments: number;
  readonly unknownSegments: number;
  /** The service counted more than was sent from here: other systems of the member, or requests whose reply was lost. */
  readonly surplus: Amount;
  /** Sent and counted nowhere, though nobody was unknown. */
  readonly unexplained: number;
}

/**
 * - `accepted`: the service has taken it and not counted all of it yet.
 * - `processed`: all of it is counted.
 * - `unconfirmed`: a day has passed, and it is not counted.
 */
type HourState = 'accepted' | 'processed' | 'unconfirmed';

export interface ReconciledHour {
  readonly hour: number;
  readonly sent: Sent;
  /** The same by account (its node id). */
  readonly accounts: Readonly<Record<string, Sent>>;
  /** What became of the hour's posts. */
  readonly state: HourState;
  readonly notProcessed: Amount;
  /** What the service counted in this hour, of posts of this hour or earlier ones. */
  readonly processed: Sent;
  readonly differences: Differences;
}

export interface Reconciliation {
  readonly sent: Sent;
  readonly processed: Sent;
  /** Of what was sent, in the range or before, what the service counted in the range. */
  readonly accountedFor: Amount;
  readonly differences: Differences;
  /** Sent until the end of the range and not counted until then. */
  readonly notProcessed: Amount;
  /** The part of it that was sent more than a day ago. */
  readonly unconfirmed: Amount;
  /** Whether no figure had to be reckoned from a part of an hour. */
  readonly exact: boolean;
  readonly hours: readonly ReconciledHour[];
}

export interface ReconcileInput {
  /** In order; may begin before the range, so that what is still under way then is known. */
  readonly sent: readonly SentOfHour[];
  readonly processed: readonly ProcessedHour[];
  readonly firstHour: number;
  readonly lastHour: number;
  /** The hour that runs now. */
  readonly nowHour: number;
}

/** The longest that the service takes (service.md 4). */
const processedWithinHours = 24;

export function reconcile(flow: Flow): Reconciliation {
  const { firstHour, lastHour, nowHour } = flow.input;
  const hours: ReconciledHour[] = [];
  for (let hour = firstHour; hour <= lastHour; hour += 1) hours.push(flow.hour(hour));
  const pending = flow.pending();
  const old = pending.filter(({ hour }) => isOld(hour, nowHour));
  return {
    sent: sumSent(hours.map(({ sent }) => sent)),
    processed: sumSent(hours.map(({ processed }) => processed)),
    accountedFor: flow.accountedFor(firstHour, lastHour),
    differences: flow.differences(firstHour, lastHour),
    notProcessed: sumAmounts(pending.map(({ left }) => left)),
    unconfirmed: sumAmounts(old.map(({ left }) => left)),
    exact: flow.isExact(firstHour, lastHour),
    hours,
  };
}

/** Which users of which hour the service counted in which hour. */
export class Flow {
  private readonly sent: ReadonlyMap<number, SentOfHour>;
  private readonly processed: ReadonlyMap<number, ProcessedHour>;
  /** By the hour of sending: users counted, by the hour of that. */
  private readonly counted = new Map<number, Map<number, number>>();
  /** By the hour of counting: users that nobody here sent. */
  private readonly surplus = new Map<number, number>();

  constructor(readonly input: ReconcileInput) {
    const { sent, processed, lastHour } = input;
    this.sent = new Map(sent.map((one) => [one.hour, one]));
    this.processed = new Map(processed.map((one) => [one.hour, one]));
    const first = Math.min(lastHour, ...this.sent.keys(), ...this.processed.keys());
    this.run(first, lastHour);
  }

  private run(first: number, last: number): void {
    const waiting: { readonly hour: number; left: number }[] = [];
    let carried = 0;
    const take = (users: number, hour: number): number => {
      let free = users;
      while (free > 0 && waiting.length > 0) {
        const oldest = waiting[0]!;
        const taken = Math.min(free, oldest.left);
        free -= taken;
        oldest.left -= taken;
        const counted = this.counted.get(oldest.hour) ?? new Map<number, number>();
        counted.set(hour, (counted.get(hour) ?? 0) + taken);
        this.counted.set(oldest.hour, counted);
        if (oldest.left === 0) waiting.shift();
      }
      return free;
    };
    for (let hour = first; hour <= last; hour += 1) {
      const { users = 0 } = this.sent.get(hour) ?? {};
      if (users > 0) waiting.push({ hour, left: users });
      // The service's clock may be behind ours: what it counted too early belongs to the next hour.
      this.addSurplus(hour - 1, take(carried, hour - 1));
      carried = take(usersOf(this.processed.get(hour)), hour);
    }
    this.addSurplus(last, carried);
  }

  private addSurplus(hour: number, users: number): void {
    if (users > 0) this.surplus.set(hour, users);
  }

  /** 0 … 1: the part of an hour's users that was counted in the hours from `first` to `last`. */
  partOf({ hour, users }: SentOfHour, first: number, last: number): number {
    let counted = 0;
    for (const [when, some] of this.counted.get(hour) ?? [])
      if (when >= first && when <= last) counted += some;
    return users === 0 ? 0 : counted / users;
  }

  /** How much of what was sent to a segment the service dealt with in the range. */
  sentTo(keys: readonly string[]): SentPair {
    const pair = { adds: 0, removes: 0 };
    for (const sent of this.input.sent) {
      const part = this.partOf(sent, this.input.firstHour, this.input.lastHour);
      for (const key of keys) {
        pair.adds += part * (sent.segments.get(key)?.adds ?? 0);
        pair.removes += part * (sent.segments.get(key)?.removes ?? 0);
      }
    }
    return { adds: Math.round(pair.adds), removes: Math.round(pair.removes) };
  }

  isExact(first: number, last: number): boolean {
    const parts = [...this.sent.values()].map((sent) => this.partOf(sent, first, last));
    return parts.every((part) => part === 0 || part === 1);
  }

  accountedFor(first: number, last: number): Amount {
    const parts = [...this.sent.values()].map((sent) => partly(sent, this.partOf(sent, first, last)));
    return sumAmounts(parts);
  }

  differences(first: number, last: number): Differences {
    let counts = noCounts;
    let surplusUsers = 0;
    for (let hour = first; hour <= last; hour += 1) {
      counts = addCounts(counts, this.processed.get(hour)?.counts ?? noCounts);
      surplusUsers += this.surplus.get(hour) ?? 0;
    }
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

  /** What was sent and is not counted, by hour. */
  pending(): { readonly hour: number; readonly left: Amount }[] {
    return [...this.sent.values()]
      .map((sent) => ({ hour: sent.hour, left: this.leftOf(sent) }))
      .filter(({ left }) => left.users > 0);
  }

  private leftOf(sent: SentOfHour): Amount {
    const counted = partly(sent, this.partOf(sent, -Infinity, Infinity));
    return {
      users: sent.users - counted.users,
      associations: sent.adds + sent.removes - counted.associations,
    };
  }

  hour(hour: number): ReconciledHour {
    const sent = this.sent.get(hour);
    const { counts = noCounts } = this.processed.get(hour) ?? {};
    const notProcessed = sent === undefined ? noAmount : this.leftOf(sent);
    return {
      hour,
      sent: sent === undefined ? noSent : { users: sent.users, adds: sent.adds, removes: sent.removes },
      accounts: sent?.accounts ?? {},
      state:
        notProcessed.users === 0 ? 'processed' : isOld(hour, this.input.nowHour) ? 'unconfirmed' : 'accepted',
      notProcessed,
      processed: { users: counts.validUsers, adds: counts.adds, removes: counts.removes },
      differences: this.differences(hour, hour),
    };
  }
}

const noAmount: Amount = { users: 0, associations: 0 };
const noSent: Sent = { users: 0, adds: 0, removes: 0 };

export function isOld(hour: number, nowHour: number): boolean {
  return nowHour - hour > processedWithinHours;
}

function usersOf(processed: ProcessedHour | undefined): number {
  return processed === undefined ? 0 : processed.counts.validUsers + processed.counts.invalidUsers;
}

function partly({ users, adds, removes }: Sent, part: number): Amount {
  return { users: Math.round(users * part), associations: Math.round((adds + removes) * part) };
}

function sumAmounts(amounts: readonly Amount[]): Amount {
  let [users, associations] = [0, 0];
  for (const amount of amounts) {
    users += amount.users;
    associations += amount.associations;
  }
  return { users, associations };
}

function sumSent(all: readonly Sent[]): Sent {
  let [users, adds, removes] = [0, 0, 0];
  for (const sent of all) {
    users += sent.users;
    adds += sent.adds;
    removes += sent.removes;
  }
  return { users, adds, removes };
}
