// Log host: runs a log in this thread or in one of its own. Results arrive in the order of the calls.

import type { EncryptionOptions } from './encryption';
import { openLog, type SqliteLog } from './sqlite-log';

export type LogMethod =
  | 'takeOver'
  | 'commit'
  | 'read'
  | 'rowsOfUsers'
  | 'getMeta'
  | 'setMeta'
  | 'sync'
  | 'tidy';

/** A call as plain data that can be sent to another thread. */
export type LogCall = {
  [M in LogMethod]: { readonly method: M; readonly args: Parameters<SqliteLog[M]> };
}[LogMethod];

/** Result of a call of this method. */
export type LogResult<M extends LogMethod> = ReturnType<SqliteLog[M]>;

/** A call with callbacks for its result. Not promises, because they would let results overtake each other. */
export interface PendingCall {
  readonly call: LogCall;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A commit of very many rows would hold the event loop: after so many, others have their turn. */
export interface Turns {
  readonly rowsPerStep: number;
  readonly endOfTurn: (call: () => void) => void;
}

export interface LogHost {
  /** `SqliteLog.totals.commits` when the log was opened. */
  readonly commits: number;
  /**
   * Settles with the log's QueueErrors. Never settles if the thread dies: then its owner gets the call back.
   */
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
    case 'sync':
      return log.sync(...call.args);
    case 'tidy':
      return log.tidy(...call.args);
  }
}

/**
 * Runs a log in this thread: a call blocks the event loop until it is done. A commit with very many rows runs
 * in steps, with other work in between; later calls wait for it.
 */
export class InlineHost implements LogHost {
  readonly commits: number;
  readonly #log: SqliteLog;
  /** The first call is being carried out. */
  readonly #calls: PendingCall[] = [];
  #commit: ReturnType<SqliteLog['commitInSteps']> | null = null;
  /** Resolves when no call is left. */
  #idle: Promise<void> = Promise.resolve();

  /** Throws QueueErrors. */
  constructor(
    path: string,
    cipher: EncryptionOptions | null,
    private readonly turns: Turns,
  ) {
    this.#log = openLog(path, cipher);
    this.commits = this.#log.totals.commits;
  }

  call(pending: PendingCall): void {
    if (this.#calls.push(pending) > 1) return;
    this.#carryOut();
    if (this.#calls.length > 0) this.#idle = new Promise((done) => this.#goOn(done));
  }

  #goOn(done: () => void): void {
    this.turns.endOfTurn(() => {
      this.#carryOut();
      if (this.#calls.length > 0) this.#goOn(done);
      else done();
    });
  }

  /** Carries out calls until a commit is interrupted or none is left. */
  #carryOut(): void {
    for (let pending = this.#calls[0]; pending !== undefined; pending = this.#calls[0]) {
      const { call, resolve, reject } = pending;
      try {
        if (call.method !== 'commit') resolve(carryOut(this.#log, call));
        else {
          this.#commit ??= this.#log.commitInSteps(call.args[0], this.turns.rowsPerStep);
          const { done, value } = this.#commit.next();
          if (done !== true) return;
          resolve(value);
        }
      } catch (error) {
        reject(error as Error);
      }
      this.#commit = null;
      this.#calls.shift();
    }
  }

  close(): Promise<void> {
    if (this.#calls.length > 0) return this.#idle.then(() => this.close());
    this.#log.close();
    return Promise.resolve();
  }
}
