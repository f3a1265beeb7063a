// Log lines of which many may come at once: one of each kind, with the number.

import type { Clock } from '../../clock';

export interface CountedLine {
  readonly level: 'info' | 'warn' | 'error';
  /** Of one kind the counts are added, and the first text is used. */
  readonly kind: string;
  readonly count: number;
  readonly text: (count: number) => string;
}

/** What comes within this time is one line. */
const soonMs = 1_000;
/** While more comes. */
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

  /** Logs now what was not logged yet, and leaves no timer. */
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
