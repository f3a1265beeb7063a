// Reads what this instance has to report from the outcome table of a shared queue. Outcomes are deleted only once they are
// reported, by the next call: whoever is killed in between leaves them for the active instance, which may report some twice.

import type { Clock } from '../../clock';
import type { Instance, SharedLog } from '../../queue/shared-log';
import type { Outcome } from '../respond/reports';
import { readOutcomes } from './stored-outcomes';
import { asQueueError } from '../respond/not-accepted';

export interface OutcomeReaderParts {
  readonly log: SharedLog;
  readonly instance: Instance;
  readonly clock: Clock;
  readonly report: (outcomes: readonly Outcome[]) => void;
  readonly write: (level: 'error', text: string) => void;
}

const rowsPerCall = 50;
const retryMs = 1_000;

export class OutcomeReader {
  /** Ids of those that the next call deletes. */
  private reported: readonly number[] = [];
  private reading = false;
  private readAgain = false;
  private closed = false;
  private cancelRetry: (() => void) | null = null;

  constructor(private readonly parts: OutcomeReaderParts) {}

  /** Reports what is there, now or once more after what is being read. */
  read(): void {
    if (this.closed) return;
    if (this.reading) {
      this.readAgain = true;
      return;
    }
    this.reading = true;
    this.readAgain = false;
    void this.readAll().finally(() => {
      this.reading = false;
      if (this.readAgain) this.read();
    });
  }

  private async readAll(): Promise<void> {
    const { log, instance, clock } = this.parts;
    try {
      do {
        const rows = await log.outcomes(instance, this.reported, rowsPerCall);
        this.reported = [];
        if (this.closed) return;
        for (const { text } of rows) this.reportRow(text);
        this.reported = rows.map(({ id }) => id);
      } while (this.reported.length > 0);
    } catch {
      // The log tells its own trouble.
      this.cancelRetry?.();
      this.cancelRetry = clock.after(retryMs, () => this.read());
    }
  }

  private reportRow(text: string): void {
    const { report, write } = this.parts;
    try {
      report(readOutcomes(text));
    } catch (error) {
      const why = asQueueError(error).message;
      write('error', `Outcomes in the shared queue are not valid: ${why}`);
    }
  }

  close(): void {
    this.closed = true;
    this.cancelRetry?.();
  }
}
