// Late outcomes of nodes that are being deployed: keeps them until the node is back, so that it misses none.

import type { Clock } from '../../clock';
import type { CountedLine } from '../monitor/log-tally';
import { linesOfRemoved } from './node-listeners';
import type { Recovered } from '../pending-messages';

type Listener = (recovered: readonly Recovered[]) => void;

/** Engine as seen here: it reports outcomes to nodes. */
export interface Reporter {
  onRecovered(node: string, listener: Listener): void;
  closing(node: string): void;
  release(node: string): void;
}

/** Node-RED gives a deploy 15 s to close its nodes. */
const keepMs = 20_000;

interface Absent {
  readonly recovered: Recovered[];
  /** Cancels the timer that forgets the node; does nothing while the node is closing. */
  stay: () => void;
}

export class LateOutcomes {
  private readonly absent = new Map<string, Absent>();

  constructor(
    private readonly reporter: Reporter,
    private readonly clock: Clock,
    private readonly log: (level: CountedLine['level'], text: string) => void,
  ) {}

  /** Registers a node that has started: it receives the outcomes of its absence, then further ones. */
  listen(node: string, listener: Listener): void {
    this.reporter.onRecovered(node, listener);
    const absent = this.absent.get(node);
    this.absent.delete(node);
    absent?.stay();
    if (absent !== undefined && absent.recovered.length > 0) listener(absent.recovered);
  }

  /**
   * The node begins to close, and messages that it sends may reach no node. From here on, late outcomes are
   * kept, together with those in `unreported`. Its open messages still end normally.
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
   * The node has closed: its open messages end. If it `returns`, outcomes are kept for a while. Does nothing
   * for a node that is already back because it did not close in time.
   */
  leave(node: string, returns: boolean): void {
    const absent = this.absent.get(node);
    if (absent === undefined) return;
    this.reporter.release(node);
    this.reporter.onRecovered(node, keepIn(absent.recovered));
    if (returns) absent.stay = this.clock.after(keepMs, () => this.forget(node));
    else this.forget(node);
  }

  /** The node did not come back: its outcomes are logged, and later ones are logged by the engine. */
  private forget(node: string): void {
    const recovered = this.absent.get(node)?.recovered ?? [];
    this.absent.delete(node);
    this.reporter.release(node);
    for (const { level, count, text } of linesOfRemoved(node, recovered)) this.log(level, text(count));
  }
}

/** Not `push(...entries)`, since there may be any number of entries. */
function keepIn(recovered: Recovered[]): Listener {
  return (entries) => {
    for (const entry of entries) recovered.push(entry);
  };
}
