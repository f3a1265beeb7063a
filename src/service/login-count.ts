// At most ten logins of a user name in five minutes, and none while the service asked to wait, whoever makes them
// (service.md 2): every account, form and member of this process counts on one LoginCount, and processes that share a
// queue count on what is written beside it.
import { randomUUID } from 'node:crypto';
import type { Times } from '../clock';
import type { AuthOutcome, TokenOutcome } from './outcome';

/** How long ago each login was, in ms (0 or more), by an id. */
export type LoginAges = ReadonlyMap<string, number>;

/** Where logins are written down, so that they outlive this process. */
export interface LoginStore {
  /** Whether other processes write there too. */
  readonly shared: boolean;
  /**
   * Changes what is kept of a user name in one step. `change` gives back what to keep then, or null to leave it as it
   * is; it is called again when another process was faster.
   */
  update(user: string, change: (kept: LoginAges) => LoginAges | null): Promise<void>;
}

/** Why no login was made. */
export type NoLogin = Extract<TokenOutcome, { readonly kind: 'wait' }>;

const MAX_LOGINS = 10;
/** The documented five minutes, and half a minute for a lost login that the service carries out late. */
const WINDOW_MS = 5 * 60_000 + 30_000;
/** A wall clock that moved by more than this makes the times wrong that were written down before. */
const CLOCK_JUMP_MS = 1000;
const TRY_AGAIN_MS = 1000;

/** The reason may hold secrets, so it is not passed on. */
const failedInside = (): AuthOutcome => ({
  kind: 'passing',
  code: 'failed',
  message: 'The login failed inside this machine.',
});

function noLogin(code: string, message: string): NoLogin {
  return { kind: 'wait', retryAfterMs: TRY_AGAIN_MS, code, message };
}

/** How long until one more login may be made; 0 when it may now. */
function waitMsOf(ages: Iterable<number>): number {
  const youngestFirst = [...ages].filter((ageMs) => ageMs < WINDOW_MS).sort((a, b) => a - b);
  const tenth = youngestFirst[MAX_LOGINS - 1];
  return tenth === undefined ? 0 : Math.max(1, WINDOW_MS - tenth);
}

/**
 * Logins of one user name. Each is written down before it is made, so a crash in between costs one and never grants an
 * eleventh. Across a restart the wall clock is all there is: times in its future count as just now, and a clock that is
 * set forward while no process runs is not noticed.
 */
export class LoginCount {
  /** Of this process, and what processes before it left: monotonic ms of each. */
  readonly #own = new Map<string, number>();
  /**
   * By store: the logins of other processes that were last read there, with the monotonic ms of each. They still count
   * when this process uses that store no more.
   */
  readonly #others = new Map<LoginStore, Map<string, number>>();
  readonly #read = new WeakSet<LoginStore>();
  #tail: Promise<unknown> = Promise.resolve();
  /** What the service asked for: no login before that monotonic ms. */
  #asked = { untilMs: -Infinity, message: '' };
  /** Wall minus monotonic clock when the times were written down last. */
  #savedOffsetMs = 0;

  /**
   * @param user names it in the stores
   * @param stores all that this process has for it now
   */
  constructor(
    private readonly user: string,
    private readonly clock: Times,
    private readonly stores: () => readonly LoginStore[],
  ) {}

  /**
   * Makes a login, unless it would be one too many, or cannot be written down, or the service asked to wait. Never rejects.
   *
   * @param home where it has to be written down, elsewhere it is as far as that works; null: everywhere
   */
  async login(
    authenticate: () => Promise<AuthOutcome>,
    home: LoginStore | null,
  ): Promise<AuthOutcome | NoLogin> {
    const id = randomUUID();
    const refusal = await this.#inTurn(async () => this.#askedWait() ?? this.#reserve(id, home));
    if (refusal !== null) return refusal;
    const outcome = await authenticate().catch(failedInside);
    if (outcome.kind === 'rateLimited') {
      const untilMs = this.clock.monoMs() + outcome.retryAfterMs;
      if (untilMs > this.#asked.untilMs) this.#asked = { untilMs, message: outcome.message };
    }
    // What gave no token is not counted.
    const counts = outcome.kind === 'token' || (outcome.kind === 'passing' && outcome.ambiguous !== false);
    // The service acted between start and end, so the later time is the safe one.
    if (counts) this.#own.set(id, this.clock.monoMs());
    else this.#own.delete(id);
    // What was written before the call stands if this fails, which errs on the safe side.
    void this.#inTurn(() => this.#save(id));
    return outcome;
  }

  #askedWait(): NoLogin | null {
    const { untilMs, message } = this.#asked;
    const retryAfterMs = untilMs - this.clock.monoMs();
    return retryAfterMs > 0 ? { kind: 'wait', retryAfterMs, code: 'rate_limited', message } : null;
  }

  /** Times written down before the wall clock was set would be read wrongly after a restart. */
  noticeClockJump(): void {
    if (this.#own.size === 0 || Math.abs(this.#offsetMs() - this.#savedOffsetMs) <= CLOCK_JUMP_MS) return;
    // At once: its turn may be a while off, and this is called for every post.
    this.#savedOffsetMs = this.#offsetMs();
    void this.#inTurn(() => this.#save(null));
  }

  /** One after the other, so that an older list never overwrites a newer. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(work);
    this.#tail = done.catch(() => undefined);
    return done;
  }

  /** Null once the login is written down; else why it must not be made. */
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
      store.update(this.user, (kept) => {
        const ages = this.#withKnown(this.#othersIn(store, kept, null), stores);
        const itsWaitMs = this.#waitMs(id, ages);
        waitMs = Math.max(waitMs, itsWaitMs);
        return itsWaitMs > 0 ? null : ages;
      }),
    );
    const isUnsaved = unsaved.some(isNeeded);
    if (waitMs === 0 && !isUnsaved) return null;
    this.#own.delete(id);
    // Some may have it.
    void this.#inTurn(() => this.#save(id));
    if (waitMs === 0)
      return noLogin(
        'times_unsaved',
        'The time of the login cannot be saved beside the queue, so it was not made.',
      );
    return {
      kind: 'wait',
      retryAfterMs: waitMs,
      code: 'authentication_limit',
      message: `The service allows ${MAX_LOGINS} logins in 5 minutes, and they are used up; the next one waits.`,
    };
  }

  /** What earlier processes left is this one's own where nobody else writes. */
  async #readOnce(store: LoginStore): Promise<void> {
    if (store.shared || this.#read.has(store)) return;
    await store.update(this.user, (kept) => {
      const nowMs = this.clock.monoMs();
      for (const [id, ageMs] of kept) if (!this.#own.has(id)) this.#own.set(id, nowMs - ageMs);
      return null;
    });
    this.#read.add(store);
  }

  /** Writes down where it can how things stand: with the login `id`, or without it where it does not count. */
  async #save(id: string | null): Promise<void> {
    this.#savedOffsetMs = this.#offsetMs();
    const stores = this.stores();
    await failing(stores, async (store) => {
      // One that could not be read before would lose what earlier processes left there.
      await this.#readOnce(store);
      await store.update(this.user, (kept) => this.#withKnown(this.#othersIn(store, kept, id), stores));
    });
  }

  /** What is kept there that is not this process's alone; without the login `id`, which does not count. */
  #othersIn(store: LoginStore, kept: LoginAges, id: string | null): LoginAges {
    const others = new Map(store.shared ? kept : []);
    if (id !== null) others.delete(id);
    const nowMs = this.clock.monoMs();
    if (store.shared)
      this.#others.set(store, new Map([...others].map(([its, ageMs]) => [its, nowMs - ageMs])));
    return others;
  }

  /** With this process's own logins, and with those of stores that it does not use any more. */
  #withKnown(others: LoginAges, stores: readonly LoginStore[]): Map<string, number> {
    const nowMs = this.clock.monoMs();
    const ages = new Map(others);
    const left = [...this.#others].filter(([store]) => !stores.includes(store));
    for (const known of [...left.map(([, times]) => times), this.#own])
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
