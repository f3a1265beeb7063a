// What holds all sending back for a while: a rate limit, an outage, a fault that hits everything.
//
// All times are monotonic milliseconds.

import { backoffMs } from './backoff';

/** Refusals in a row, nothing accepted between them, after which the fault is taken to hit everything. */
const refusalsOfEverything = 4;

const failuresOfAnOutage = 2;

interface Trouble {
  readonly ambiguous: boolean;
  readonly code: string;
  readonly message: string;
}

/** Until when the service asked to send nothing for a member. It outlives the engine that was told. */
export interface AskedWait {
  untilMs: number;
}

export class CircuitBreaker {
  private failures = 0;
  private pausedUntilMs = -Infinity;
  private pausedAtMs = -Infinity;
  /** A try of an outage is on its way. */
  private trying = false;
  private refusals = 0;
  /** `refusals` when a full queue last took one more message. */
  private refusalsAtOneMore = 0;
  private probesAgainMs = -Infinity;
  /** The last passing failure since something was accepted. */
  trouble: { readonly code: string; readonly message: string } | null = null;
  /** Why the last body was refused. */
  refusal = '';
  /** When the post left that was accepted and left last. */
  acceptedSentMs = -Infinity;

  constructor(
    private readonly random: () => number,
    private readonly asked: AskedWait = { untilMs: -Infinity },
  ) {}

  /** Before that nothing leaves; Infinity while the outcome of a try decides. */
  get closedUntilMs(): number {
    return this.trying ? Infinity : Math.max(this.asked.untilMs, this.pausedUntilMs);
  }

  /** Posts fail one after the other: then one small post at a time shows when that is over. */
  get outage(): boolean {
    return this.failures >= failuresOfAnOutage;
  }

  get rateLimitedUntil(): number {
    return this.asked.untilMs;
  }

  /** Whether bodies are refused and nothing has been accepted for a while. */
  get refusesEverything(): boolean {
    return this.refusals >= refusalsOfEverything;
  }

  /** While everything is refused one body at a time is tried, again from then on; -Infinity when all is well. */
  get triesFromMs(): number {
    return this.refusesEverything ? this.probesAgainMs : -Infinity;
  }

  /** A post leaves. */
  departed(): void {
    this.trying = this.outage;
  }

  /** It never left after all. */
  cancelled(): void {
    this.trying = false;
  }

  /** A post that left at `sentMs` came to something. True when that ended an outage. */
  settled(sentMs: number, failed: boolean): boolean {
    if (sentMs >= this.pausedAtMs) this.trying = false;
    const ended = this.outage && !failed;
    if (!failed) this.failures = 0;
    return ended;
  }

  /** A post that left at `sentMs` was accepted. */
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
   * A passing failure of a post that left at `sentMs`. Posts of one outage count once. One whose request may still
   * run is waited for longer, since each such try holds its quota for long.
   */
  failed(trouble: Trouble, sentMs: number, nowMs: number): void {
    this.trouble = { code: trouble.code, message: trouble.message };
    if (sentMs < this.pausedAtMs) return;
    this.failures += 1;
    // One lost reply among many is not yet an outage: its users wait, the others go on.
    if (!this.outage) return;
    this.pausedAtMs = nowMs;
    const capMs = trouble.ambiguous ? 15_000 : 5_000;
    this.pausedUntilMs = nowMs + backoffMs(this.failures - 1, this.random, 500, capMs);
  }

  refused(message: string): void {
    this.refusals += 1;
    this.refusal = message;
  }

  /** A body was let through although everything is refused: the next one waits. */
  tried(nowMs: number): void {
    const over = Math.max(1, this.refusals - refusalsOfEverything);
    this.probesAgainMs = nowMs + 500 + backoffMs(over, this.random, 500, 30_000);
  }

  /** While everything is refused: true once after each refusal. */
  takesOneMore(): boolean {
    if (!this.refusesEverything || this.refusals === this.refusalsAtOneMore) return false;
    this.refusalsAtOneMore = this.refusals;
    return true;
  }

  /** An operator wants everything tried now. A rate limit stays: it is the service's word. */
  openNow(): void {
    this.pausedUntilMs = -Infinity;
    this.probesAgainMs = -Infinity;
  }
}
