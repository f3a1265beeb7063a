// Circuit breaker: pauses all sending during a rate limit, an outage or a fault that affects every request.
//
// All times are monotonic milliseconds.

import { backoffMs } from './backoff';

/**
 * Number of refusals in a row, with nothing accepted in between, after which the fault is assumed to affect
 * everything.
 */
const refusalsOfEverything = 4;

const failuresOfAnOutage = 2;

interface Trouble {
  readonly ambiguous: boolean;
  readonly code: string;
  readonly message: string;
}

/** Until when the service asked to pause for a member. It outlives the engine that received the reply. */
export interface AskedWait {
  untilMs: number;
}

export class CircuitBreaker {
  private failures = 0;
  private pausedUntilMs = -Infinity;
  private pausedAtMs = -Infinity;
  /** Whether a trial request of an outage is in flight. */
  private trying = false;
  private refusals = 0;
  /** `refusals` when a full queue last admitted one more message. */
  private refusalsAtOneMore = 0;
  private probesAgainMs = -Infinity;
  /** The last retriable failure since something was accepted. */
  trouble: { readonly code: string; readonly message: string } | null = null;
  /** Reason of the last refused body. */
  refusal = '';
  /** Latest send time of all accepted requests. */
  acceptedSentMs = -Infinity;

  constructor(
    private readonly random: () => number,
    private readonly asked: AskedWait = { untilMs: -Infinity },
  ) {}

  /** Until when no request may be sent; Infinity while a trial request is in flight. */
  get closedUntilMs(): number {
    return this.trying ? Infinity : Math.max(this.asked.untilMs, this.pausedUntilMs);
  }

  /** Whether requests fail in a row. Then one small request at a time shows when the outage is over. */
  get outage(): boolean {
    return this.failures >= failuresOfAnOutage;
  }

  get rateLimitedUntil(): number {
    return this.asked.untilMs;
  }

  /** Whether bodies are refused in a row and nothing was accepted since. */
  get refusesEverything(): boolean {
    return this.refusals >= refusalsOfEverything;
  }

  /**
   * While everything is refused, one body is tried at a time, the next one from this time on; -Infinity
   * otherwise.
   */
  get triesFromMs(): number {
    return this.refusesEverything ? this.probesAgainMs : -Infinity;
  }

  /** A request is about to be sent. */
  sending(): void {
    this.trying = this.outage;
  }

  /** The request was not sent after all. */
  cancelled(): void {
    this.trying = false;
  }

  /** A request sent at `sentMs` has an outcome. Returns whether it ended an outage. */
  settled(sentMs: number, failed: boolean): boolean {
    if (sentMs >= this.pausedAtMs) this.trying = false;
    const ended = this.outage && !failed;
    if (!failed) this.failures = 0;
    return ended;
  }

  /** The service accepted a request sent at `sentMs`. */
  accepted(sentMs: number): void {
    this.acceptedSentMs = Math.max(this.acceptedSentMs, sentMs);
    this.refusals = 0;
    this.refusalsAtOneMore = 0;
    this.trouble = null;
  }

  rateLimited(untilMs: number): void {
    this.asked.untilMs = Math.max(this.asked.untilMs, untilMs);
  }

  /**
   * A request sent at `sentMs` failed and is retriable. Failures of one outage count once. After an ambiguous
   * failure the pause is longer, because each such try uses quota for long.
   */
  failed(trouble: Trouble, sentMs: number, nowMs: number): void {
    this.trouble = { code: trouble.code, message: trouble.message };
    if (sentMs < this.pausedAtMs) return;
    this.failures += 1;
    // One ambiguous request among many is no outage: its users wait, the others continue.
    if (!this.outage) return;
    this.pausedAtMs = nowMs;
    const capMs = trouble.ambiguous ? 15_000 : 5_000;
    this.pausedUntilMs = nowMs + backoffMs(this.failures - 1, this.random, 500, capMs);
  }

  /** `isPart`: the body was a part of a refused batch. */
  refused(message: string, isPart: boolean): void {
    if (!isPart) this.refusals += 1;
    this.refusal = message;
  }

  /** A body was tried although everything is refused; the next try waits. */
  tried(nowMs: number): void {
    const over = Math.max(1, this.refusals - refusalsOfEverything);
    this.probesAgainMs = nowMs + 500 + backoffMs(over, this.random, 500, 30_000);
  }

  /** While everything is refused, returns true once after each refusal. */
  admitsOneMore(): boolean {
    if (!this.refusesEverything || this.refusals === this.refusalsAtOneMore) return false;
    this.refusalsAtOneMore = this.refusals;
    return true;
  }

  /** An operator asked to try everything now. A rate limit stays, because the service asked for it. */
  openNow(): void {
    this.pausedUntilMs = -Infinity;
    this.probesAgainMs = -Infinity;
  }
}
