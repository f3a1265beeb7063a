// One token for all posts of a login: when to get one, and when not to (service.md 2).
import type { Times } from '../clock';
import { sameLogin, type Login } from './login';
import type { LoginCount, LoginStore } from './login-count';
import type { AuthOutcome, TokenOutcome } from './outcome';

export interface TokenKeeperOptions {
  readonly login: Login;
  readonly authenticate: (login: Login) => Promise<AuthOutcome>;
  readonly clock: Times;
  /** 0 … 1, for the jitter of waits. */
  readonly random: () => number;
  /** Counts the logins of this user name, whoever makes them. */
  readonly logins: LoginCount;
  /** Where they have to be written down; null: wherever `logins` is. */
  readonly loginStore: LoginStore | null;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** A new token is fetched beside the old one's last half hour, so that no post waits for it. */
const RENEW_AT_MS = 23.5 * HOUR_MS;
const MAX_AGE_MS = 24 * HOUR_MS - 2 * MINUTE_MS;
const MAX_IDLE_MS = 2 * HOUR_MS - 2 * MINUTE_MS;
/** A replacement that dies younger than this, and was never accepted, says that tokens are not the trouble. */
const FRESH_MS = 5 * MINUTE_MS;
const BACKOFF_BASE_MS = 1000;
const BACKOFF_MAX_MS = MINUTE_MS;
const BACKOFF_MIN_MS = 100;
/** Settings that stand in the way are tried again slowly. */
const CONFIGURATION_WAIT_MS = 30_000;

type Refusal = Extract<TokenOutcome, { readonly kind: 'loginRefused' }>;

interface Held {
  readonly token: string;
  readonly bornMs: number;
  usedMs: number;
  /** Fetched because the one before was refused, and not accepted by any call yet. */
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

  constructor(options: TokenKeeperOptions) {
    this.#options = options;
    this.#login = options.login;
  }

  /** A token to post with, now; never rejects. */
  token(): Promise<TokenOutcome> {
    if (this.#refusal !== null) return Promise.resolve(this.#refusal);
    const nowMs = this.#options.clock.monoMs();
    this.#options.logins.noticeClockJump();
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
    const isAgain = held.isUnproven && nowMs - held.bornMs < FRESH_MS;
    this.#deadReplacements = isAgain ? this.#deadReplacements + 1 : 0;
    this.#replacing = true;
    if (isAgain) {
      const message =
        'The service gives tokens but accepts none of them: check the permissions of this login.';
      this.#waitFor(this.#backoffMs(this.#deadReplacements), 'dead_token_again', message);
    }
  }

  /** A call with `token` succeeded: when it is refused later, it has died, however young. */
  accepted(token: string): void {
    if (this.#held?.token === token) this.#held.isUnproven = false;
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
    // Not made because of a limit: that says how long to wait.
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
          bornMs: startMs,
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
}
