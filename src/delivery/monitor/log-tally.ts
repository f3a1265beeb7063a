// Log tally: combines log lines of one kind into one line with their number.

import type { Clock } from '../../clock';

export interface CountedLine {
  readonly level: 'info' | 'warn' | 'error';
  /** Lines of one kind add their counts and use the first text. */
  readonly kind: string;
  readonly count: number;
  readonly text: (count: number) => string;
}

/** Lines within this time are combined. */
const soonMs = 1_000;
/** Interval while more lines follow. */
const everyMs = 60_000;

export class LogTally {
  private readonly lines = new Map<string, CountedLine>();
  private cancel: (() => void) | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly log: (level: CountedLine['level'], text: string) => void,
  ) {}

  add(line: CountedLine): void {
    const before = this.lines.get(line.kind);
    this.lines.set(line.kind, before === undefined ? line : { ...before, count: before.count + line.count });
    this.cancel ??= this.clock.after(soonMs, () => this.goOn());
  }

  private goOn(): void {
    const isOver = this.lines.size === 0;
    this.cancel = isOver ? null : this.clock.after(everyMs, () => this.goOn());
    this.logAll();
  }

  /** Logs pending lines now and cancels the timer. */
  flush(): void {
    this.cancel?.();
    this.cancel = null;
    this.logAll();
  }

  private logAll(): void {
    const lines = [...this.lines.values()];
    this.lines.clear();
    for (const { level, count, text } of lines) this.log(level, text(count));
  }
}
