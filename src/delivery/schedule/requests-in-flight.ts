// Requests on their way and tokens asked for; what comes back waits for the next turn.

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
 * The body holds expirations as of when it was made up: what waits longer than this, for its mark, a token or a connection,
 * is made up anew. Each of these takes less, unless it fails.
 */
const freshMs = 10_000;

export class RequestsInFlight {
  /** Posts that have left and not settled. */
  inFlight = 0;
  private replies: Reply[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly logins: Logins,
    private readonly circuitBreaker: CircuitBreaker,
    private readonly tokenCame: (account: string, outcome: TokenOutcome) => void,
    private readonly askTurn: () => void,
    /** Whether a post may leave at this moment: it may have waited for its token or for a connection. */
    private readonly mayLeave: () => boolean,
  ) {}

  /** Replies for the next turn. */
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
      // Not in a turn: an engine that is closed has none any more, but the next one has to wait.
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

  /** Asks once for an account that has no token yet. */
  askToken(account: string): void {
    const login = this.logins.get(account);
    if (login === null || this.logins.state(account)?.kind !== 'unknown') return;
    this.logins.setState(account, { kind: 'asking' });
    void login.token().then((outcome) => {
      // Attached afresh meanwhile: then it asks for itself.
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
