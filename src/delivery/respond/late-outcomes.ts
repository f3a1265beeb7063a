// Nodes that are being deployed: entries that end meanwhile wait for them, so that a node misses nothing of its own.

import type { Clock } from '../../clock';
import type { CountedLine } from '../monitor/log-tally';
import { linesOfRemoved } from './node-listeners';
import type { Recovered } from './entry-end';

type Listener = (recovered: readonly Recovered[]) => void;

/** What reports to nodes: the engine. */
export interface Reporter {
  onRecovered(node: string, listener: Listener): void;
  closing(node: string): void;
  release(node: string): void;
}

/** Node-RED gives a deploy 15 s to close its nodes. */
const keepMs = 20_000;

interface Absent {
  readonly recovered: Recovered[];
  /** Cancels that it is forgotten; nothing while it still closes. */
  stay: () => void;
}

export class LateOutcomes {
  private readonly absent = new Map<string, Absent>();

  constructor(
    private readonly reporter: Reporter,
    private readonly clock: Clock,
    private readonly log: (level: CountedLine['level'], text: string) => void,
  ) {}

  /** The node is there (again): it gets what ended while it was away, and then what ends. */
  listen(node: string, listener: Listener): void {
    this.reporter.onRecovered(node, listener);
    const absent = this.absent.get(node);
    this.absent.delete(node);
    absent?.stay();
    if (absent !== undefined && absent.recovered.length > 0) listener(absent.recovered);
  }

  /**
   * The node begins to close, and what it would send may find nobody: what ends without its message from here on, and
   * what it had not passed on yet, is kept. Its open messages still end as their own.
   */
  away(node: string, unreported: readonly Recovered[]): void {
    const before = this.absent.get(node);
    before?.stay();
    const recovered = [...(before?.recovered ?? []), ...unreported];
    this.absent.set(node, { recovered, stay: () => undefined });
    this.reporter.onRecovered(node, keepIn(recovered));
    this.reporter.closing(node);
  }

  /**
   * The node, which is away, has closed: its open messages end. One that `returns` is waited for. One that is back
   * already, because it did not close in time, stays.
   */
  leave(node: string, returns: boolean): void {
    const absent = this.absent.get(node);
    if (absent === undefined) return;
    this.reporter.release(node);
    this.reporter.onRecovered(node, keepIn(absent.recovered));
    if (returns) absent.stay = this.clock.after(keepMs, () => this.forget(node));
    else this.forget(node);
  }

  /** It did not come back: what waits for it is logged, and what still comes is for the engine to log. */
  private forget(node: string): void {
    const recovered = this.absent.get(node)?.recovered ?? [];
    this.absent.delete(node);
    this.reporter.release(node);
    for (const { level, count, text } of linesOfRemoved(node, recovered)) this.log(level, text(count));
  }
}

/** There may be any number at a time. */
function keepIn(recovered: Recovered[]): Listener {
  return (entries) => {
    for (const entry of entries) recovered.push(entry);
  };
}
