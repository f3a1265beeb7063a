// Sent counts: what the service accepted, by hour, account and segment, to be compared with its usage
// statistics.
//
// Counting costs one look-up and one addition per block. Every few seconds the counts are added to those in the
// store, so that a crash loses no more than that. Counts contain no user ids.

import * as z from 'zod';
import { HourRing, hourOf, keptHours } from '../../queue/hour-ring';
import type { QueueStore } from '../../queue/store';
import type { Clock } from '../../clock';

/** Segments of one account and hour with a count of their own; further segments share one count. */
export const segmentsPerHour = 500;
/** Hours that wait to be written while the store fails; beyond this limit the oldest are dropped. */
const unsavedHours = 48;
const saveEveryMs = 10_000;

/** Adds and removals. */
export interface SentPair {
  adds: number;
  removes: number;
}

/** What the service accepted of one account in one hour. */
export class SentCounts {
  /** As the service counts: a user once in each request. */
  users = 0;
  /** Users and blocks of ambiguous requests, which the service may or may not have counted. */
  ambiguousUsers = 0;
  ambiguousBlocks = 0;
  /** By the block's key (`i10001`, `c1661:abcd`). */
  readonly segments = new Map<string, SentPair>();
  /** Segments beyond the limit. */
  readonly others: SentPair = { adds: 0, removes: 0 };

  block(key: string, removal: boolean): void {
    const pair = this.segments.get(key) ?? this.#first(key);
    if (removal) pair.removes += 1;
    else pair.adds += 1;
  }

  add(other: SentCounts): void {
    this.users += other.users;
    this.ambiguousUsers += other.ambiguousUsers;
    this.ambiguousBlocks += other.ambiguousBlocks;
    addPair(this.others, other.others);
    for (const [key, pair] of other.segments) addPair(this.segments.get(key) ?? this.#first(key), pair);
  }

  /** Sum over all segments. */
  get total(): SentPair {
    const total = { ...this.others };
    for (const pair of this.segments.values()) addPair(total, pair);
    return total;
  }

  #first(key: string): SentPair {
    if (this.segments.size >= segmentsPerHour) return this.others;
    const pair = { adds: 0, removes: 0 };
    this.segments.set(key, pair);
    return pair;
  }
}

function addPair(to: SentPair, from: SentPair): void {
  to.adds += from.adds;
  to.removes += from.removes;
}

/** Counts of one hour, by account. */
export type SentHour = ReadonlyMap<string, SentCounts>;

export class SentCountStore {
  private readonly ring: HourRing;
  /** Counts that are not written yet, by hour. */
  private unsaved = new Map<number, Map<string, SentCounts>>();
  /** The hour that was written last, as stored. */
  private kept: { readonly hour: number; readonly accounts: SentHour } | null = null;
  private saving: Promise<void> | null = null;
  private cancelTimer: (() => void) | null = null;
  private closed = false;
  /** Counts of the last request, because the next one usually belongs to the same hour and account. */
  private last: { readonly hour: number; readonly account: string; readonly counts: SentCounts } | null =
    null;

  constructor(
    store: Pick<QueueStore, 'getMeta' | 'setMeta'>,
    private readonly clock: Clock,
  ) {
    this.ring = new HourRing(store, 'sent');
  }

  /**
   * Counts for a request sent at `sentMs` (monotonic): the hour of sending, because the service cannot have
   * counted it earlier.
   */
  of(account: string, sentMs: number): SentCounts {
    const hour = hourOf(this.clock.wallMs() - (this.clock.monoMs() - sentMs));
    if (this.last?.hour === hour && this.last.account === account) return this.last.counts;
    const accounts = this.unsaved.get(hour) ?? new Map<string, SentCounts>();
    const counts = accounts.get(account) ?? new SentCounts();
    accounts.set(account, counts);
    this.unsaved.set(hour, accounts);
    this.last = { hour, account, counts };
    if (this.unsaved.size > unsavedHours) this.unsaved.delete(Math.min(...this.unsaved.keys()));
    this.saveLater();
    return counts;
  }

  /** Whether some counts are not written yet. */
  get dirty(): boolean {
    return this.unsaved.size > 0;
  }

  /** Writes the counts. Never rejects; failed writes are repeated later. */
  save(): Promise<void> {
    this.saving ??= this.saveAll().finally(() => {
      this.saving = null;
    });
    return this.saving;
  }

  /**
   * Reads the hours from `first` to `last` within the last 30 days, without empty hours. Rejects as the store
   * does.
   */
  async read(first: number, last: number): Promise<Map<number, SentHour>> {
    await this.saving;
    await this.save();
    const hours = new Map<number, SentHour>();
    const oldest = hourOf(this.clock.wallMs()) - keptHours + 1;
    for (let hour = Math.max(first, oldest); hour <= last; hour += 1) {
      const kept = readHour(await this.ring.get(hour));
      if (kept.size > 0) hours.set(hour, kept);
    }
    return hours;
  }

  /** Writes the counts and cancels the timer. */
  async close(): Promise<void> {
    this.closed = true;
    this.cancelTimer?.();
    this.cancelTimer = null;
    await this.saving;
    await this.save();
  }

  private saveLater(): void {
    if (this.closed) return;
    this.cancelTimer ??= this.clock.after(saveEveryMs, () => {
      this.cancelTimer = null;
      void this.save().then(() => {
        if (this.dirty) this.saveLater();
      });
    });
  }

  private async saveAll(): Promise<void> {
    this.last = null;
    const unsaved = [...this.unsaved];
    this.unsaved = new Map();
    for (const [hour, accounts] of unsaved) {
      try {
        const kept = this.kept?.hour === hour ? this.kept.accounts : readHour(await this.ring.get(hour));
        const sum = joined(kept, accounts);
        await this.ring.set(hour, plainHour(sum));
        this.kept = { hour, accounts: sum };
      } catch {
        // The store reports its errors itself. Further counts of the same hour may have been added meanwhile.
        this.unsaved.set(hour, joined(accounts, this.unsaved.get(hour) ?? new Map()));
        this.last = null;
      }
    }
  }
}

function joined(one: SentHour, other: SentHour): Map<string, SentCounts> {
  const all = new Map<string, SentCounts>();
  for (const [account, counts] of [...one, ...other]) {
    const sum = all.get(account) ?? new SentCounts();
    sum.add(counts);
    all.set(account, sum);
  }
  return all;
}

// ── Storage ───────────────────────────────────────────────────────────────────────────────────────────────────────

const count = z.number().int().nonnegative();
const pair = z.tuple([count, count]);
const keptSchema = z.record(
  z.string(),
  z.object({
    users: count,
    lost: pair,
    others: pair,
    segments: z.record(z.string(), pair),
  }),
);

function plainHour(accounts: SentHour): z.infer<typeof keptSchema> {
  return Object.fromEntries(
    [...accounts].map(
      ([account, { users, ambiguousUsers: lostUsers, ambiguousBlocks: lostBlocks, others, segments }]) => [
        account,
        {
          users,
          lost: [lostUsers, lostBlocks],
          others: [others.adds, others.removes],
          segments: Object.fromEntries(
            [...segments].map(([key, { adds, removes }]) => [key, [adds, removes]]),
          ),
        },
      ],
    ),
  );
}

/** Reads a stored hour; malformed content counts as empty. */
function readHour(value: unknown): Map<string, SentCounts> {
  const read = keptSchema.safeParse(value ?? {});
  const hour = new Map<string, SentCounts>();
  for (const [account, kept] of Object.entries(read.success ? read.data : {})) {
    const counts = new SentCounts();
    counts.users = kept.users;
    [counts.ambiguousUsers, counts.ambiguousBlocks] = kept.lost;
    [counts.others.adds, counts.others.removes] = kept.others;
    for (const [key, [adds, removes]] of Object.entries(kept.segments))
      counts.segments.set(key, { adds, removes });
    hour.set(account, counts);
  }
  return hour;
}
