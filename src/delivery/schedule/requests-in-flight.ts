// Requests in flight and requested tokens; replies wait here for the next turn.

import type { TokenOutcome } from '../../service/reply/outcome';
import type { Clock } from '../../clock';
import type { CircuitBreaker } from './circuit-breaker';
import type { Logins } from './login';
import type { Post, Settled } from './post';

export interface Reply {
  readonly post: Post;
  readonly outcome: Settled;
  /** Monotonic ms. */
  readonly atMs: number;
}

/**
 * A body holds expirations as of its build time. A request that waited longer than this for its in-flight
 * record, a token or a connection gets a new body. Normally each of these waits is shorter.
 */
const freshMs = 10_000;

export class RequestsInFlight {
  /** Requests that are sent and have no reply yet. */
  inFlight = 0;
  private replies: Reply[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly logins: Logins,
    private readonly circuitBreaker: CircuitBreaker,
    private readonly tokenCame: (account: string, outcome: TokenOutcome) => void,
    private readonly askTurn: () => void,
    /** Whether a request may be sent at this moment; it may have waited for its token or for a connection. */
    private readonly mayLeave: () => boolean,
  ) {}

  /** Number of replies for the next turn. */
  get size(): number {
    return this.replies.length;
  }

  takeReplies(): Reply[] {
    return this.replies.splice(0);
  }

  launch(post: Post): void {
    this.inFlight += 1;
    post.sentMs = this.clock.monoMs();
    void this.send(post).then((outcome) => {
      this.inFlight -= 1;
      const atMs = this.clock.monoMs();
      // Right now, not in a turn: a closed engine has no more turns, but the next engine must respect the rate
      // limit.
      if (outcome.kind === 'rateLimited') this.circuitBreaker.rateLimited(atMs + outcome.retryAfterMs);
      this.replies.push({ post, outcome, atMs });
      this.askTurn();
    });
  }

  private async send(post: Post): Promise<Settled> {
    const login = this.logins.get(post.account);
    if (login === null) return { kind: 'notSent', token: accountGone };
    const token = await login.token();
    if (token.kind !== 'token') return { kind: 'notSent', token };
    const isFresh = (): boolean => this.clock.monoMs() - post.madeMs < freshMs;
    const outcome = await login.post(post.body, token.token, () => isFresh() && this.mayLeave());
    if (outcome.kind === 'deadToken') login.refused(token.token);
    return outcome;
  }

  /** Requests a token for each account that has none and wants one, once. */
  askTokens(isWanted: (account: string) => boolean): void {
    for (const account of this.logins.accounts()) if (isWanted(account)) this.askToken(account);
  }

  private askToken(account: string): void {
    const login = this.logins.get(account);
    if (login === null || this.logins.state(account)?.kind !== 'unknown') return;
    this.logins.setState(account, { kind: 'asking' });
    void login.token().then((outcome) => {
      // The account was attached again meanwhile, and the new login requests its own token.
      if (this.logins.get(account) !== login) return;
      this.tokenCame(account, outcome);
      this.askTurn();
    });
  }
}

const accountGone: TokenOutcome = {
  kind: 'wait',
  retryAfterMs: 1000,
  code: 'no_account',
  message: 'The account is gone.',
};
