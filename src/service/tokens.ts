// One token for all posts of a login: when to get one, when not to, and never too often (spec section 2).
import type { ServiceClock } from './clock';
import { sameLogin, type Login } from './login';
import type { AuthOutcome, TokenOutcome } from './outcome';

export interface TokenKeeperOptions {
  readonly login: Login;
  readonly authenticate: (login: Login) => Promise<AuthOutcome>;
  readonly clock: ServiceClock;
  /** 0 … 1, for the jitter of waits. */
  readonly random: () => number;
  /** Times of authentications (epoch ms) as an earlier process saved them; times only, never tokens. */
  readonly loadTimes: () => Promise<readonly number[]>;
  readonly saveTimes: (times: readonly number[]) => Promise<void>;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const MAX_AUTHENTICATIONS = 10;
/** The documented five minutes, and half a minute for a lost authentication that the service carries out late. */
const WINDOW_MS = 5 * MINUTE_MS + 30_000;
/** A new token is fetched beside the old one's last half hour, so that no post waits for it. */
const RENEW_AT_MS = 23.5 * HOUR_MS;
const MAX_AGE_MS = 24 * HOUR_MS - 2 * MINUTE_MS;
const MAX_IDLE_MS = 2 * HOUR_MS - 2 * MINUTE_MS;
/** A replacement that dies younger than this says that tokens are not the trouble. */
const FRESH_MS = 5 * MINUTE_MS;
const BACKOFF_BASE_MS = 1000;
const BACKOFF_MAX_MS = MINUTE_MS;
const BACKOFF_MIN_MS = 100;
/** Settings that stand in the way are tried again slowly. */
const CONFIGURATION_WAIT_MS = 30_000;
/** A wall clock that moved by more than this makes the saved times wrong. */
const CLOCK_JUMP_MS = 1000;

type WaitOutcome = Extract<TokenOutcome, { readonly kind: 'wait' }>;
type Refusal = Extract<TokenOutcome, { readonly kind: 'loginRefused' }>;

interface Held {
  readonly token: string;
  readonly bornMs: number;
  usedMs: number;
  /** Fetched because the one before was refused. */
  readonly isReplacement: boolean;
}

interface Wait {
  readonly untilMs: number;
  readonly code: string;
  readonly message: string;
}

/** When an authentication took place, in monotonic ms; it moves to the end of the call once that is known. */
interface Slot {
  atMs: number;
}

/** The reason may hold secrets, so it is not passed on. */
const failedInside = (): AuthOutcome => ({
  kind: 'passing',
  code: 'failed',
  message: 'The login failed inside this machine.',
});

function noSlot(code: string, message: string): WaitOutcome {
  return { kind: 'wait', retryAfterMs: BACKOFF_BASE_MS, code, message };
}

/**
 * Holds the token of one login. `token()` is cheap and may be called for every post; any number of callers share
 * one authentication. At most 10 authentications that gave a token, or may have, fall into any five minutes,
 * also across restarts: each is saved before it is made. Across a restart the wall clock is all there is, so
 * times in its future count as just now, and a clock set forward while no process ran is not noticed.
 */
export class TokenKeeper {
  readonly #options: TokenKeeperOptions;
  #login: Login;
  /** Rises when the login changes, so that an authentication under way for the old one is not used. */
  #generation = 0;
  #held: Held | null = null;
  #refusal: Refusal | null = null;
  #wait: Wait | null = null;
  #failures = 0;
  #deadReplacements = 0;
  #replacing = false;
  /** Null comes out when the login was replaced meanwhile. */
  #flight: Promise<TokenOutcome | null> | null = null;
  #slots: Slot[] | null = null;
  #saving: Promise<void> = Promise.resolve();
  /** Wall minus monotonic clock when the times were last saved. */
  #savedOffsetMs = 0;

  constructor(options: TokenKeeperOptions) {
    this.#options = options;
    this.#login = options.login;
  }

  /** A token to post with, now; never rejects. */
  token(): Promise<TokenOutcome> {
    if (this.#refusal !== null) return Promise.resolve(this.#refusal);
    const nowMs = this.#options.clock.monoMs();
    this.#noticeClockJump(nowMs);
    const held = this.#usable(nowMs);
    if (held === null) return this.#obtainShared();
    held.usedMs = nowMs;
    if (nowMs - held.bornMs >= RENEW_AT_MS && this.#flight === null) void this.#obtainShared();
    return Promise.resolve({ kind: 'token', token: held.token });
  }

  /**
   * A post was refused with `token`. Only the first call for a token counts, so that one refresh serves all the
   * posts that were on their way with it.
   */
  refused(token: string): void {
    const held = this.#held;
    if (held?.token !== token) return;
    this.#held = null;
    const nowMs = this.#options.clock.monoMs();
    const isAgain = held.isReplacement && nowMs - held.bornMs < FRESH_MS;
    this.#deadReplacements = isAgain ? this.#deadReplacements + 1 : 0;
    this.#replacing = true;
    if (isAgain) {
      const message =
        'The service gives tokens but accepts none of them: check the permissions of this login.';
      this.#waitFor(this.#backoffMs(this.#deadReplacements), 'dead_token_again', message);
    }
  }

  /**
   * An authentication beside this keeper's own, such as a test of another password for the same user name. It takes
   * one of the ten, is saved as one, and does not touch the token. Never rejects.
   */
  async countBeside(authenticate: () => Promise<AuthOutcome>): Promise<AuthOutcome> {
    const slot = await this.#takeSlot();
    if ('kind' in slot) {
      const { retryAfterMs, code, message } = slot;
      return code === 'authentication_limit'
        ? { kind: 'rateLimited', retryAfterMs, message }
        : { kind: 'passing', ambiguous: false, code, message };
    }
    const outcome = await authenticate().catch(failedInside);
    this.#settle(slot, outcome);
    return outcome;
  }

  /**
   * The login as it is configured now. The same one keeps its token; a different one starts anew. A refusal stays
   * with the same login, unless it spoke of the account (switched off, not allowed), which no new password mends:
   * then this is the sign to try once more.
   */
  replaceLogin(login: Login): void {
    if (sameLogin(login, this.#login)) {
      const code = this.#refusal?.code;
      if (code === 'NOAUTH_DISABLED' || code === 'UNAUTH') this.#refusal = null;
      return;
    }
    this.#login = login;
    this.#generation += 1;
    this.#held = null;
    this.#refusal = null;
    this.#wait = null;
    this.#failures = 0;
    this.#deadReplacements = 0;
    this.#replacing = false;
  }

  /**
   * Somebody says that what stood in the way was mended, maybe at the service: a refusal and a wait end, so that the
   * same login is tried once more. A wait that the service asked for stays, as does its limit of authentications.
   */
  tryAgain(): void {
    this.#refusal = null;
    this.#failures = 0;
    if (this.#wait?.code !== 'rate_limited') this.#wait = null;
  }

  #usable(nowMs: number): Held | null {
    const held = this.#held;
    if (held === null) return null;
    return nowMs - held.bornMs < MAX_AGE_MS && nowMs - held.usedMs < MAX_IDLE_MS ? held : null;
  }

  #obtainShared(): Promise<TokenOutcome> {
    const generation = this.#generation;
    const flight = (this.#flight ??= this.#obtain().finally(() => {
      this.#flight = null;
    }));
    return flight.then((outcome) =>
      outcome === null || generation !== this.#generation ? this.token() : outcome,
    );
  }

  async #obtain(): Promise<TokenOutcome | null> {
    const waiting = this.#waiting();
    if (waiting !== null) return waiting;
    const slot = await this.#takeSlot();
    if (!('kind' in slot)) return this.#authenticate(slot);
    return slot.code === 'authentication_limit' ? slot : this.#fail(slot.code, slot.message);
  }

  /** One of the ten, saved before it is used; or why there is none. */
  async #takeSlot(): Promise<Slot | WaitOutcome> {
    const slots = await this.#load();
    if (slots === null)
      return noSlot('times_unreadable', 'The times of earlier logins cannot be read from the queue.');
    const limited = this.#limited(slots);
    if (limited !== null) return limited;
    const slot: Slot = { atMs: this.#options.clock.monoMs() };
    slots.push(slot);
    if (await this.#save()) return slot;
    this.#slots = (this.#slots ?? []).filter((one) => one !== slot);
    return noSlot(
      'times_unsaved',
      'The time of the login cannot be saved beside the queue, so it was not made.',
    );
  }

  async #authenticate(slot: Slot): Promise<TokenOutcome | null> {
    const generation = this.#generation;
    const startMs = this.#options.clock.monoMs();
    const outcome = await this.#options.authenticate(this.#login).catch(failedInside);
    this.#settle(slot, outcome);
    return generation === this.#generation ? this.#take(outcome, startMs) : null;
  }

  /** The service acted between start and end, so the later time is the safe one; what gave no token is not counted. */
  #settle(slot: Slot, outcome: AuthOutcome): void {
    const counts = outcome.kind === 'token' || (outcome.kind === 'passing' && outcome.ambiguous !== false);
    if (counts) slot.atMs = this.#options.clock.monoMs();
    else this.#slots = (this.#slots ?? []).filter((one) => one !== slot);
    // The entry saved before the call stands if this fails, which errs on the safe side.
    void this.#save();
  }

  #take(outcome: AuthOutcome, startMs: number): TokenOutcome {
    switch (outcome.kind) {
      case 'token':
        this.#failures = 0;
        this.#wait = null;
        this.#held = {
          token: outcome.token,
          bornMs: startMs,
          usedMs: this.#options.clock.monoMs(),
          isReplacement: this.#replacing,
        };
        this.#replacing = false;
        return outcome;
      case 'loginRefused':
        this.#held = null;
        this.#refusal = { kind: 'loginRefused', code: outcome.code, message: outcome.message };
        return this.#refusal;
      case 'rateLimited':
        return this.#fail('rate_limited', outcome.message, outcome.retryAfterMs);
      case 'configuration': {
        const waitMs = CONFIGURATION_WAIT_MS * (1 + this.#options.random());
        return this.#waitFor(waitMs, outcome.code, outcome.message);
      }
      case 'passing':
        return this.#fail(outcome.code, outcome.message);
    }
  }

  #fail(code: string, message: string, atLeastMs = 0): TokenOutcome {
    this.#failures += 1;
    return this.#waitFor(Math.max(atLeastMs, this.#backoffMs(this.#failures)), code, message);
  }

  /** Exponential with full jitter. */
  #backoffMs(tries: number): number {
    const ceilingMs = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** Math.min(tries - 1, 16));
    return Math.max(BACKOFF_MIN_MS, this.#options.random() * ceilingMs);
  }

  #waitFor(waitMs: number, code: string, message: string): TokenOutcome {
    this.#wait = { untilMs: this.#options.clock.monoMs() + waitMs, code, message };
    return { kind: 'wait', retryAfterMs: waitMs, code, message };
  }

  #waiting(): TokenOutcome | null {
    const wait = this.#wait;
    const leftMs = wait === null ? 0 : wait.untilMs - this.#options.clock.monoMs();
    if (wait === null || leftMs <= 0) return null;
    return { kind: 'wait', retryAfterMs: leftMs, code: wait.code, message: wait.message };
  }

  #limited(slots: readonly Slot[]): WaitOutcome | null {
    if (slots.length < MAX_AUTHENTICATIONS) return null;
    const times = slots.map(({ atMs }) => atMs).sort((a, b) => a - b);
    const freeAtMs = times[times.length - MAX_AUTHENTICATIONS]! + WINDOW_MS;
    return {
      kind: 'wait',
      retryAfterMs: Math.max(1, freeAtMs - this.#options.clock.monoMs()),
      code: 'authentication_limit',
      message: `The service allows ${MAX_AUTHENTICATIONS} logins in 5 minutes, and they are used up; the next one waits.`,
    };
  }

  /** The slots that still count, read from the earlier process the first time; null when they cannot be read. */
  async #load(): Promise<Slot[] | null> {
    if (this.#slots === null) {
      const times = await this.#options.loadTimes().catch(() => null);
      if (times === null) return null;
      const { monoMs, wallMs } = this.#now();
      const ages = times.filter(Number.isFinite).map((time) => wallMs - time);
      this.#slots = ages.map((ageMs) => ({ atMs: monoMs - Math.max(0, ageMs) }));
      // Saved as "just now", they run out in five minutes even if no process lives that long.
      if (ages.some((ageMs) => ageMs < 0)) await this.#save();
    }
    const oldestMs = this.#options.clock.monoMs() - WINDOW_MS;
    this.#slots = this.#slots.filter(({ atMs }) => atMs > oldestMs);
    return this.#slots;
  }

  /** Saves one after the other, so that an older list never overwrites a newer; says whether it worked. */
  #save(): Promise<boolean> {
    const { monoMs, wallMs } = this.#now();
    this.#savedOffsetMs = wallMs - monoMs;
    const times = (this.#slots ?? []).map(({ atMs }) => Math.round(wallMs - (monoMs - atMs)));
    const saved = this.#saving.then(() => this.#options.saveTimes(times));
    this.#saving = saved.catch(() => undefined);
    return saved.then(
      () => true,
      () => false,
    );
  }

  /** Times saved before the wall clock was set would be read wrongly after a restart. */
  #noticeClockJump(nowMs: number): void {
    if (this.#slots === null || this.#slots.length === 0) return;
    const movedMs = this.#options.clock.wallMs() - nowMs - this.#savedOffsetMs;
    if (Math.abs(movedMs) > CLOCK_JUMP_MS) void this.#save();
  }

  #now(): { readonly monoMs: number; readonly wallMs: number } {
    return { monoMs: this.#options.clock.monoMs(), wallMs: this.#options.clock.wallMs() };
  }
}
