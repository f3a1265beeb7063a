// Keeps one token for all calls of a login: fetches, renews and replaces it, and waits where a limit or failure asks
// for it (service.md 2).
import type { Times } from '../../clock';
import { sameLogin, type Login } from './login';
import type { LoginCount, LoginStore } from './login-count';
import type { AuthOutcome, TokenOutcome } from '../reply/outcome';

export interface TokenKeeperOptions {
  readonly login: Login;
  readonly authenticate: (login: Login) => Promise<AuthOutcome>;
  readonly clock: Times;
  /** 0 … 1, for the jitter of waits. */
  readonly random: () => number;
  /** Counts all logins of this user name, including those of other accounts and forms. */
  readonly logins: LoginCount;
  /** The store that must accept each login before it is made; null: all stores of `logins`. */
  readonly loginStore: LoginStore | null;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** A new token is fetched during the last half hour of the old one, so that no post waits for it. */
const RENEW_AT_MS = 23.5 * HOUR_MS;
const MAX_AGE_MS = 24 * HOUR_MS - 2 * MINUTE_MS;
const MAX_IDLE_MS = 2 * HOUR_MS - 2 * MINUTE_MS;
/** If the service refuses a replacement within this time, and never accepted it, another new token will not help. */
const FRESH_MS = 5 * MINUTE_MS;
const BACKOFF_BASE_MS = 1000;
const BACKOFF_MAX_MS = MINUTE_MS;
const BACKOFF_MIN_MS = 100;
/** Wrong settings do not repair themselves, so retries are slow. */
const CONFIGURATION_WAIT_MS = 30_000;

type Refusal = Extract<TokenOutcome, { readonly kind: 'loginRefused' }>;

interface Held {
  readonly token: string;
  readonly fetchedMs: number;
  usedMs: number;
  /** The token replaced a refused one, and no call has succeeded with it yet. */
  isUnproven: boolean;
}

interface Wait {
  readonly untilMs: number;
  readonly code: string;
  readonly message: string;
}

/**
 * Holds the token of one login. `token()` is cheap and may be called for every post; any number of callers share one
 * authentication.
 */
export class TokenKeeper {
  readonly #options: TokenKeeperOptions;
  #login: Login;
  /**
   * Rises when the login changes, so that the token of an authentication still in flight for the old login is dropped.
   */
  #generation = 0;
  #held: Held | null = null;
  #refusal: Refusal | null = null;
  #wait: Wait | null = null;
  #failures = 0;
  #deadReplacements = 0;
  #replacing = false;
  /** The authentication in flight; resolves to null when the login was replaced meanwhile. */
  #flight: Promise<TokenOutcome | null> | null = null;

  constructor(options: TokenKeeperOptions) {
    this.#options = options;
    this.#login = options.login;
  }

  /** A valid token, or why there is none; never rejects. */
  token(): Promise<TokenOutcome> {
    if (this.#refusal !== null) return Promise.resolve(this.#refusal);
    const nowMs = this.#options.clock.monoMs();
    this.#options.logins.noticeClockJump();
    const held = this.#usable(nowMs);
    if (held === null) return this.#obtainShared();
    held.usedMs = nowMs;
    if (nowMs - held.fetchedMs >= RENEW_AT_MS && this.#flight === null) void this.#obtainShared();
    return Promise.resolve({ kind: 'token', token: held.token });
  }

  /**
   * Reports that the service refused `token`. Only the first report for a token counts, so that one new token serves
   * all requests that were in flight with the old one.
   */
  refused(token: string): void {
    const held = this.#held;
    if (held?.token !== token) return;
    this.#held = null;
    const nowMs = this.#options.clock.monoMs();
    const isAgain = held.isUnproven && nowMs - held.fetchedMs < FRESH_MS;
    this.#deadReplacements = isAgain ? this.#deadReplacements + 1 : 0;
    this.#replacing = true;
    if (isAgain) {
      const message =
        'The service issues tokens but accepts none of them: check the permissions of this login.';
      this.#waitFor(this.#backoffMs(this.#deadReplacements), 'dead_token_again', message);
    }
  }

  /** Reports that a call with `token` succeeded, so that a later refusal means only that the token has expired. */
  accepted(token: string): void {
    if (this.#held?.token === token) this.#held.isUnproven = false;
  }

  /**
   * Sets the configured login. An equal login keeps its token; a different one starts anew. A refusal stays with an
   * equal login, unless it concerned the account (disabled, not allowed): no new password repairs that, so a deploy is
   * the only sign to try once more.
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
   * Ends a refusal and our own wait, so that the same login is tried once more; called when an operator may have
   * repaired the cause at the service. A wait that the service asked for, and its limit of authentications, remain.
   */
  tryAgain(): void {
    this.#refusal = null;
    this.#failures = 0;
    if (this.#wait?.code !== 'rate_limited') this.#wait = null;
  }

  #usable(nowMs: number): Held | null {
    const held = this.#held;
    if (held === null) return null;
    return nowMs - held.fetchedMs < MAX_AGE_MS && nowMs - held.usedMs < MAX_IDLE_MS ? held : null;
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
    const { logins, loginStore, authenticate, clock } = this.#options;
    let generation = this.#generation;
    let startMs = 0;
    const outcome = await logins.login(() => {
      generation = this.#generation;
      startMs = clock.monoMs();
      return authenticate(this.#login);
    }, loginStore);
    if (generation !== this.#generation) return null;
    if (outcome.kind !== 'wait') return this.#take(outcome, startMs);
    // A limit brings its own wait; every other failure backs off.
    const isLimit = outcome.code === 'authentication_limit' || outcome.code === 'rate_limited';
    return isLimit ? outcome : this.#fail(outcome.code, outcome.message);
  }

  #take(outcome: AuthOutcome, startMs: number): TokenOutcome {
    switch (outcome.kind) {
      case 'token':
        this.#failures = 0;
        this.#wait = null;
        this.#held = {
          token: outcome.token,
          fetchedMs: startMs,
          usedMs: this.#options.clock.monoMs(),
          isUnproven: this.#replacing,
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
      case 'retriable':
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
}
