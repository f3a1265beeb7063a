// Trouble log: logs a problem that keeps a login from sending once, and its end once.

import type { PostOutcome, TokenOutcome } from '../../service/reply/outcome';

/** Number of failures in a row that is worth a line; a single ambiguous request is not. */
const failuresLogged = 3;

export class TroubleLog {
  private failures = 0;
  private logged: string | null = null;

  constructor(private readonly log: (level: 'info' | 'warn', text: string) => void) {}

  /** The engine logs a refused login itself. */
  token(outcome: TokenOutcome): void {
    if (outcome.kind === 'wait') this.tell(outcome.code, outcome.message);
  }

  post(outcome: PostOutcome): void {
    if (outcome.kind === 'retriable') {
      this.failures += 1;
      if (this.failures >= failuresLogged) this.tell(outcome.code, outcome.message);
      return;
    }
    this.failures = 0;
    if (outcome.kind === 'configuration') this.tell(outcome.code, outcome.message);
    if (outcome.kind !== 'accepted' || this.logged === null) return;
    this.logged = null;
    this.log('info', 'The service accepts entries again.');
  }

  private tell(code: string, message: string): void {
    if (this.logged === code) return;
    this.logged = code;
    this.log('warn', `${message} Everything stays queued and is tried again.`);
  }
}
