// Waiting messages: those that were handed in and not taken yet. A burst has very many, so each is just an item of a queue here: numbers
// and times belong to runs of messages.

import { Fifo } from './pending/fifo';
import type { Submission } from './submission';

export interface Moment {
  /** Monotonic ms, and the wall clock's epoch ms at that time. */
  readonly monoMs: number;
  readonly wallMs: number;
}

/** A message that was handed in. What is in it ages from when it was handed in, whatever the wall clock does since. */
export class HandedIn {
  constructor(
    readonly submission: Submission,
    /** From 1 up. */
    readonly number: number,
    readonly at: Moment,
  ) {}
}

/** Messages with successive numbers that were handed in at the same moment. */
interface Run {
  firstNumber: number;
  messages: number;
  readonly at: Moment;
}

export class WaitingMessages {
  private readonly submissions = new Fifo<Submission>();
  private readonly runs = new Fifo<Run>();
  private lastRun: Run | null = null;

  get size(): number {
    return this.submissions.size;
  }

  push(submission: Submission, number: number, at: Moment): void {
    this.submissions.push(submission);
    const { lastRun } = this;
    if (lastRun?.at === at && lastRun.firstNumber + lastRun.messages === number) lastRun.messages += 1;
    else this.runs.push((this.lastRun = { firstNumber: number, messages: 1, at }));
  }

  /** The oldest message, which the next `shift` returns. */
  get next(): Submission | undefined {
    return this.submissions.peek();
  }

  /** The number of the oldest message. */
  get nextNumber(): number | undefined {
    return this.runs.peek()?.firstNumber;
  }

  shift(): HandedIn | undefined {
    const submission = this.submissions.shift();
    const run = this.runs.peek();
    if (submission === undefined || run === undefined) return undefined;
    const handedIn = new HandedIn(submission, run.firstNumber, run.at);
    run.firstNumber += 1;
    run.messages -= 1;
    if (run.messages === 0) {
      this.runs.shift();
      if (run === this.lastRun) this.lastRun = null;
    }
    return handedIn;
  }
}
