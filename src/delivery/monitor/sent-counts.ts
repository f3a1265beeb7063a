// What the service has accepted, by hour, account and segment: to be compared with its usage statistics later.
//
// Counting is a look-up and an addition for each block. Every few seconds what was counted is added to what the store
// keeps of the hour, so that a crash loses no more than that. No user id is ever in here.

import * as z from 'zod';
import { HourRing, hourOf, keptHours } from '../../queue/hour-ring';
import type { QueueStore } from '../../queue/store';
import type { Clock } from '../../clock';

/** Segments of one account and hour that are counted one by one; those beyond share one count. */
export const segmentsPerHour = 500;
/** Hours that wait to be written while the store fails; beyond, the oldest are given up. */
const unsavedHours = 48;
const saveEveryMs = 10_000;

/** Adds and removes. */
export interface SentPair {
  adds: number;
  removes: number;
}

/** What one account sent in one hour and the service accepted. */
export class SentCounts {
  /** As the service counts them: a user once in each request. */
  users = 0;
  /** Users and blocks of requests without a reply: the service may or may not have counted them. */
  lostUsers = 0;
  lostBlocks = 0;
  /** By the block's key (`i10001`, `c1661:abcd`). */
  readonly segments = new Map<string, SentPair>();
  /** Of segments beyond the bound. */
  readonly others: SentPair = { adds: 0, removes: 0 };

  block(key: string, removal: boolean): void {
    const pair = this.segments.get(key) ?? this.#first(key);
    if (removal) pair.removes += 1;
    else pair.adds += 1;
  }

  add(other: SentCounts): void {
    this.users += other.users;
    this.lostUsers += other.lostUsers;
    this.lostBlocks += other.lostBlocks;
    addPair(this.others, other.others);
    for (const [key, pair] of other.segments) addPair(this.segments.get(key) ?? this.#first(key), pair);
  }

  /** All segments together. */
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

/** What was sent in one hour, by account. */
export type SentHour = ReadonlyMap<string, SentCounts>;

export class SentLedger {
  private readonly ring: HourRing;
  /** Counted and not written yet, by hour. */
  private unsaved = new Map<number, Map<string, SentCounts>>();
  /** The hour that was written last, as the store has it. */
  private kept: { readonly hour: number; readonly accounts: SentHour } | null = null;
  private saving: Promise<void> | null = null;
  private cancelTimer: (() => void) | null = null;
  private closed = false;
  /** Where the last post was counted: the next one mostly goes there too. */
  private last: { readonly hour: number; readonly account: string; readonly counts: SentCounts } | null =
    null;

  constructor(
    store: Pick<QueueStore, 'getMeta' | 'setMeta'>,
    private readonly clock: Clock,
  ) {
    this.ring = new HourRing(store, 'sent');
  }

  /** Where a post counts that left at `sentMs` (monotonic): before the service can have counted it. */
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

  /** Whether something was counted and not written. */
  get dirty(): boolean {
    return this.unsaved.size > 0;
  }

  /** Writes what was counted. Never rejects: what cannot be written is tried again later. */
  save(): Promise<void> {
    this.saving ??= this.saveAll().finally(() => {
      this.saving = null;
    });
    return this.saving;
  }

  /**
   * What was sent in the hours from `first` to `last` of the last 30 days, those of nothing left out. Rejects as the
   * store does.
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

  /** Writes what was counted and leaves no timer. */
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
        // The store tells its own trouble; counted meanwhile was perhaps more of the same hour.
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

// ── As it is kept ─────────────────────────────────────────────────────────────────────────────────────────────────

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
    [...accounts].map(([account, { users, lostUsers, lostBlocks, others, segments }]) => [
      account,
      {
        users,
        lost: [lostUsers, lostBlocks],
        others: [others.adds, others.removes],
        segments: Object.fromEntries([...segments].map(([key, { adds, removes }]) => [key, [adds, removes]])),
      },
    ]),
  );
}

/** What makes no sense was written by nobody we know, and counts as nothing. */
function readHour(value: unknown): Map<string, SentCounts> {
  const read = keptSchema.safeParse(value ?? {});
  const hour = new Map<string, SentCounts>();
  for (const [account, kept] of Object.entries(read.success ? read.data : {})) {
    const counts = new SentCounts();
    counts.users = kept.users;
    [counts.lostUsers, counts.lostBlocks] = kept.lost;
    [counts.others.adds, counts.others.removes] = kept.others;
    for (const [key, [adds, removes]] of Object.entries(kept.segments))
      counts.segments.set(key, { adds, removes });
    hour.set(account, counts);
  }
  return hour;
}
