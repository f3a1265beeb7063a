// Limits logins of one user name to ten in five minutes, and to none while the service asks to wait (service.md 2). All
// accounts, forms and members of a process share one LoginCount; processes that share a queue share the times stored
// there.
import { randomUUID } from 'node:crypto';
import type { Times } from '../../clock';
import { InTurn } from '../../in-turn';
import type { AuthOutcome, TokenOutcome } from '../reply/outcome';

/** The age of each login in ms (0 or more), by the login's id. */
export type LoginAges = ReadonlyMap<string, number>;

/** Stores the times of logins, so that they survive this process. */
export interface LoginStore {
  /** Whether other processes write to the store too. */
  readonly shared: boolean;
  /**
   * Changes the stored logins of a user name atomically. `change` returns the new logins, or null to change nothing; it
   * is called again when another process wrote in between.
   */
  update(user: string, change: (stored: LoginAges) => LoginAges | null): Promise<void>;
}

/** The outcome when no login is allowed now. */
export type NoLogin = Extract<TokenOutcome, { readonly kind: 'wait' }>;

const MAX_LOGINS = 10;
/** The documented five minutes, and half a minute for a lost login that the service carries out late. */
const WINDOW_MS = 5 * 60_000 + 30_000;
/** A jump of the wall clock above this makes the stored times wrong. */
const CLOCK_JUMP_MS = 1000;
const TRY_AGAIN_MS = 1000;

/** The exception may contain secrets, so its text is left out. */
const loginThrew = (): AuthOutcome => ({
  kind: 'retriable',
  code: 'failed',
  message: 'The login failed with an internal error.',
});

function noLogin(code: string, message: string): NoLogin {
  return { kind: 'wait', retryAfterMs: TRY_AGAIN_MS, code, message };
}

/** Ms until one more login is allowed; 0 when it is allowed now. */
function waitMsOf(ages: Iterable<number>): number {
  const newestFirst = [...ages].filter((ageMs) => ageMs < WINDOW_MS).sort((a, b) => a - b);
  const tenth = newestFirst[MAX_LOGINS - 1];
  return tenth === undefined ? 0 : Math.max(1, WINDOW_MS - tenth);
}

/**
 * Logins of one user name. Each is stored before it is made, so that a crash in between may cost a login but never
 * allows an eleventh. Across a restart only the wall clock measures ages: times in the future count as age 0, and a
 * clock that was set forward while no process ran goes unnoticed.
 */
export class LoginCount {
  /** Monotonic ms of each login of this process, and of earlier processes that used the same unshared store. */
  readonly #own = new Map<string, number>();
  /**
   * Monotonic ms of the logins of other processes, by store, as last read. They count even after this process has
   * stopped using the store.
   */
  readonly #others = new Map<LoginStore, Map<string, number>>();
  readonly #read = new WeakSet<LoginStore>();
  /** Runs updates one after another, so that an older list never overwrites a newer one. */
  readonly #turns = new InTurn();
  /** The wait that the service asked for; `untilMs` is monotonic. */
  #requestedWait = { untilMs: -Infinity, message: '' };
  /** Wall clock minus monotonic clock when the times were last saved. */
  #savedOffsetMs = 0;

  /**
   * @param user key of the user name in the stores
   * @param stores all stores that this process uses for the user name now
   */
  constructor(
    private readonly user: string,
    private readonly clock: Times,
    private readonly stores: () => readonly LoginStore[],
  ) {}

  /**
   * Makes a login if the limit allows, the service does not ask to wait, and the time could be stored. Never rejects.
   *
   * @param home the store that must accept the login before it is made; failures of other stores are ignored. Null: all
   *   stores must accept it.
   */
  async login(
    authenticate: () => Promise<AuthOutcome>,
    home: LoginStore | null,
  ): Promise<AuthOutcome | NoLogin> {
    const id = randomUUID();
    const refusal = await this.#turns.run(async () => this.#remainingWait() ?? this.#reserve(id, home));
    if (refusal !== null) return refusal;
    const outcome = await authenticate().catch(loginThrew);
    if (outcome.kind === 'rateLimited') {
      const untilMs = this.clock.monoMs() + outcome.retryAfterMs;
      if (untilMs > this.#requestedWait.untilMs) this.#requestedWait = { untilMs, message: outcome.message };
    }
    const counts = outcome.kind === 'token' || (outcome.kind === 'retriable' && outcome.ambiguous !== false);
    // The service counted the login between start and end, so the later time is on the safe side.
    if (counts) this.#own.set(id, this.clock.monoMs());
    else this.#own.delete(id);
    // If this save fails, the time stored before the call remains, which is on the safe side.
    void this.#turns.run(() => this.#save(id));
    return outcome;
  }

  #remainingWait(): NoLogin | null {
    const { untilMs, message } = this.#requestedWait;
    const retryAfterMs = untilMs - this.clock.monoMs();
    return retryAfterMs > 0 ? { kind: 'wait', retryAfterMs, code: 'rate_limited', message } : null;
  }

  /** Saves the times again after a jump of the wall clock, since a restart would misread the old ones. */
  noticeClockJump(): void {
    if (this.#own.size === 0 || Math.abs(this.#offsetMs() - this.#savedOffsetMs) <= CLOCK_JUMP_MS) return;
    // Set now, not in the queued save: this method runs for every post, and each would queue another save.
    this.#savedOffsetMs = this.#offsetMs();
    void this.#turns.run(() => this.#save(null));
  }

  /** Stores the login before it is made: null if it may be made, else the outcome that explains why not. */
  async #reserve(id: string, home: LoginStore | null): Promise<NoLogin | null> {
    const stores = [...new Set([...this.stores(), ...(home === null ? [] : [home])])];
    const isNeeded = (store: LoginStore): boolean => home === null || store === home;
    const unread = await failing(stores, (store) => this.#readOnce(store));
    if (unread.some(isNeeded))
      return noLogin('times_unreadable', 'The times of earlier logins cannot be read from the queue.');
    this.#forgetOld();
    this.#own.set(id, this.clock.monoMs());
    this.#savedOffsetMs = this.#offsetMs();
    let waitMs = this.#waitMs(id, this.#withKnown(new Map(), stores));
    const unsaved = await failing(waitMs > 0 ? [] : stores, (store) =>
      store.update(this.user, (stored) => {
        const ages = this.#withKnown(this.#othersIn(store, stored, null), stores);
        const storeWaitMs = this.#waitMs(id, ages);
        waitMs = Math.max(waitMs, storeWaitMs);
        return storeWaitMs > 0 ? null : ages;
      }),
    );
    const isUnsaved = unsaved.some(isNeeded);
    if (waitMs === 0 && !isUnsaved) return null;
    this.#own.delete(id);
    // Removes the login from stores that have already accepted it.
    void this.#turns.run(() => this.#save(id));
    if (waitMs === 0)
      return noLogin(
        'times_unsaved',
        'The time of the login cannot be saved in the queue, so no login was made.',
      );
    return {
      kind: 'wait',
      retryAfterMs: waitMs,
      code: 'authentication_limit',
      message: `The service allows ${MAX_LOGINS} logins in 5 minutes, and all of them are used; the next login waits.`,
    };
  }

  /** Adopts the logins of earlier processes from an unshared store, once. */
  async #readOnce(store: LoginStore): Promise<void> {
    if (store.shared || this.#read.has(store)) return;
    await store.update(this.user, (stored) => {
      const nowMs = this.clock.monoMs();
      for (const [id, ageMs] of stored) if (!this.#own.has(id)) this.#own.set(id, nowMs - ageMs);
      return null;
    });
    this.#read.add(store);
  }

  /** Saves the current logins in every store that works. Drops a stored `id` that `#own` no longer has. */
  async #save(id: string | null): Promise<void> {
    this.#savedOffsetMs = this.#offsetMs();
    const stores = this.stores();
    await failing(stores, async (store) => {
      // Writing to a store that was never read would lose the logins of earlier processes.
      await this.#readOnce(store);
      await store.update(this.user, (stored) => this.#withKnown(this.#othersIn(store, stored, id), stores));
    });
  }

  /** The stored logins of a shared store without `id`, remembered in `#others`; empty for an unshared store. */
  #othersIn(store: LoginStore, stored: LoginAges, id: string | null): LoginAges {
    const others = new Map(store.shared ? stored : []);
    if (id !== null) others.delete(id);
    const nowMs = this.clock.monoMs();
    if (store.shared)
      this.#others.set(store, new Map([...others].map(([other, ageMs]) => [other, nowMs - ageMs])));
    return others;
  }

  /** Adds this process's own logins, and those last read from stores that it no longer uses. */
  #withKnown(others: LoginAges, stores: readonly LoginStore[]): Map<string, number> {
    const nowMs = this.clock.monoMs();
    const ages = new Map(others);
    const unused = [...this.#others].filter(([store]) => !stores.includes(store));
    for (const known of [...unused.map(([, times]) => times), this.#own])
      for (const [id, atMs] of known) ages.set(id, Math.min(nowMs - atMs, ages.get(id) ?? Infinity));
    for (const [id, ageMs] of ages) if (ageMs >= WINDOW_MS) ages.delete(id);
    return ages;
  }

  #waitMs(id: string, ages: LoginAges): number {
    const others = new Map(ages);
    others.delete(id);
    return waitMsOf(others.values());
  }

  #forgetOld(): void {
    const oldestMs = this.clock.monoMs() - WINDOW_MS;
    for (const times of [this.#own, ...this.#others.values()])
      for (const [id, atMs] of times) if (atMs <= oldestMs) times.delete(id);
    for (const [store, { size }] of this.#others) if (size === 0) this.#others.delete(store);
  }

  #offsetMs(): number {
    return this.clock.wallMs() - this.clock.monoMs();
  }
}

/** The stores for which `work` fails. */
async function failing(
  stores: readonly LoginStore[],
  work: (store: LoginStore) => Promise<void>,
): Promise<LoginStore[]> {
  const failed: LoginStore[] = [];
  const noted = (store: LoginStore): Promise<void> => work(store).catch(() => void failed.push(store));
  await Promise.all(stores.map(noted));
  return failed;
}
