// Where a log runs: in this thread or in one of its own. Calls go in, results come out, in the same order.

import type { SealOptions } from './seal';
import { openLog, type SqliteLog } from './sqlite-log';

export type LogMethod = 'takeOver' | 'commit' | 'read' | 'rowsOfUsers' | 'getMeta' | 'setMeta' | 'tidy';

/** A call as plain data, which can go to another thread. */
export type LogCall = {
  [M in LogMethod]: { readonly method: M; readonly args: Parameters<SqliteLog[M]> };
}[LogMethod];

/** What a call of this method gives. */
export type LogResult<M extends LogMethod> = ReturnType<SqliteLog[M]>;

/** A call with where its result goes. Callbacks, as promises in between would let results overtake each other. */
export interface PendingCall {
  readonly call: LogCall;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export interface LogHost {
  /** `SqliteLog.commits` when the log was opened. */
  readonly commits: number;
  /** Settles with the log's OutboxErrors; not at all when the thread dies: then its owner gets the call back. */
  call(pending: PendingCall): void;
  close(): Promise<void>;
}

export function carryOut(log: SqliteLog, call: LogCall): unknown {
  switch (call.method) {
    case 'takeOver':
      return log.takeOver(...call.args);
    case 'commit':
      return log.commit(...call.args);
    case 'read':
      return log.read(...call.args);
    case 'rowsOfUsers':
      return log.rowsOfUsers(...call.args);
    case 'getMeta':
      return log.getMeta(...call.args);
    case 'setMeta':
      log.setMeta(...call.args);
      return null;
    case 'tidy':
      return log.tidy(...call.args);
  }
}

/** In this thread: a call holds the event loop until it is done, and says for how long. */
export class InlineHost implements LogHost {
  readonly commits: number;
  readonly #log: SqliteLog;

  /** Throws OutboxErrors. */
  constructor(
    path: string,
    seal: SealOptions | null,
    private readonly clock: { monoMs(): number },
    private readonly held: (forMs: number) => void,
  ) {
    this.#log = openLog(path, seal);
    this.commits = this.#log.commits;
  }

  call({ call, resolve, reject }: PendingCall): void {
    const started = this.clock.monoMs();
    try {
      resolve(carryOut(this.#log, call));
    } catch (error) {
      reject(error as Error);
    }
    if (call.method === 'commit') this.held(this.clock.monoMs() - started);
  }

  close(): Promise<void> {
    try {
      this.#log.close();
    } catch {
      // Whatever is wrong with the disk: what was committed is committed, and the handle is gone.
    }
    return Promise.resolve();
  }
}
